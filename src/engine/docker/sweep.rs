//! The **sweep**: finds what carries our label and removes what nobody needs any more.

use std::collections::HashMap;

use bollard::Docker as Client;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::future::join_all;

use super::account;
use super::connection::{Connection, failed};
use super::holder::remove;
use super::owner::{Life, OWNER_LABEL, Owner, ROLE_LABEL};
use crate::engine::EngineError;
use crate::engine::pod::LABEL;

/// What was removed, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Containers removed.
    pub containers: usize,
    /// Images removed, by name.
    pub images: Vec<String>,
    /// Images that stay because something uses them, by name.
    pub images_in_use: Vec<String>,
    /// Control groups removed.
    pub control_groups: usize,
    /// Containers of runs that still go on: they were left alone.
    pub live: usize,
}

/// Removes whatever carries our label: containers of runs that have ended, gateway and target images, control groups. With
/// `all_images`, base images too, which take longest to make.
///
/// # Errors
/// One line for a person, when the engine cannot be asked.
pub async fn clean(all_images: bool) -> Result<Report, String> {
    let connection = Connection::open().await?;
    let client = &connection.client;
    let said = |error: EngineError| error.to_string();
    let us = Owner::current();
    let mut report = Report::default();
    let found = list(client, LABEL).await.map_err(said)?;
    let (live, rest): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, labels)| Owner::life_of(labels, &us) == Life::Alive);
    report.live = live.len();
    report.containers = rest.len();
    join_all(rest.iter().map(|(id, _)| remove(client, id))).await;
    clean_images(client, all_images, &mut report).await.map_err(said)?;
    if connection.local {
        report.control_groups = account::sweep();
    }
    Ok(report)
}

async fn clean_images(client: &Client, all_images: bool, report: &mut Report) -> Result<(), EngineError> {
    let options = ListImagesOptionsBuilder::new().filters(&filter(LABEL)).build();
    let mut images = client.list_images(Some(options)).await.map_err(failed("listing images"))?;
    // What was built later may stand on what was built earlier.
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    for image in images {
        if !all_images && image.labels.get(ROLE_LABEL).is_some_and(|role| role == "base") {
            continue;
        }
        let names = if image.repo_tags.is_empty() { vec![image.id.clone()] } else { image.repo_tags.clone() };
        for name in names {
            let options = RemoveImageOptionsBuilder::new().build();
            match client.remove_image(&name, Some(options), None).await {
                Ok(_) => report.images.push(name),
                Err(error) if super::connection::is_absent(&error) => {}
                Err(error) => {
                    tracing::debug!(name, %error, "an image stays");
                    report.images_in_use.push(name);
                }
            }
        }
    }
    Ok(())
}

/// Removes the target images that these runs have made, but for those that something uses. Gives how many.
///
/// # Errors
/// One line for a person, when the engine cannot be asked.
pub async fn forget(runs: &[String]) -> Result<usize, String> {
    let connection = Connection::open().await?;
    let client = &connection.client;
    let options = ListImagesOptionsBuilder::new().filters(&filter(LABEL)).build();
    let images =
        client.list_images(Some(options)).await.map_err(|error| failed("listing images")(error).to_string())?;
    let mut gone = 0;
    for image in images {
        let has = |label: &str, values: &[String]| image.labels.get(label).is_some_and(|value| values.contains(value));
        if !has(LABEL, runs) || !has(ROLE_LABEL, &[String::from("target")]) {
            continue;
        }
        for name in &image.repo_tags {
            let options = RemoveImageOptionsBuilder::new().build();
            gone += usize::from(client.remove_image(name, Some(options), None).await.is_ok());
        }
    }
    Ok(gone)
}

/// Removes containers that dead runs left behind.
pub(super) async fn sweep_dead(client: &Client, us: &Owner) -> Result<usize, EngineError> {
    let found = list(client, OWNER_LABEL).await?;
    let dead: Vec<String> = found
        .into_iter()
        .filter(|(_, labels)| Owner::life_of(labels, us) == Life::Dead)
        .map(|(container, _)| container)
        .collect();
    join_all(dead.iter().map(|container| remove(client, container))).await;
    Ok(dead.len())
}

/// Removes every container of one run.
pub(super) async fn sweep_run(client: &Client, run: &str) -> Result<usize, EngineError> {
    let found = list(client, &format!("{LABEL}={run}")).await?;
    join_all(found.iter().map(|(container, _)| remove(client, container))).await;
    Ok(found.len())
}

/// Containers with this label that were made by us: an image's labels are inherited by whatever anybody makes from it, but
/// nobody else sets an owner.
async fn list(client: &Client, label: &str) -> Result<Vec<(String, HashMap<String, String>)>, EngineError> {
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filter(label)).build();
    let found = client.list_containers(Some(options)).await.map_err(failed("listing containers"))?;
    let named = found.into_iter().filter_map(|container| Some((container.id?, container.labels.unwrap_or_default())));
    Ok(named.filter(|(_, labels)| labels.contains_key(OWNER_LABEL)).collect())
}

fn filter(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([(String::from("label"), vec![label.to_owned()])])
}

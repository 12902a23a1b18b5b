//! One conformance suite for every engine that builds pods: what an agent must be given, what it must not reach, and how
//! its end must be reported. Agents here are small shell scripts.
//!
//! An engine that this machine cannot run is skipped with the reason printed, unless `PARALLAX_REQUIRE` names it
//! (`PARALLAX_REQUIRE=docker,embedded,rootless,npm,pypi,curl`). As root, the rootless suite is run by an unprivileged user. What
//! only some kernels have is left out likewise: `ipv6`, and `nftables`, by which ports that nobody named are heard.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod endings;
mod factors;
mod harness;
mod isolation;
mod limits;
mod machine;
mod network;
mod process;
mod runtimes;

use harness::Check;

/// Every check, by name.
macro_rules! suite {
    ($($module:ident :: $check:ident),* $(,)?) => {
        /// All checks, for engines that are opened once for all of them.
        const ALL: &[(&str, Check)] = &[$((stringify!($check), |engine| Box::pin($module::$check(engine)))),*];

        /// The embedded engine as whoever runs the tests.
        mod embedded {
            $(#[test] fn $check() { super::harness::embedded(|engine| Box::pin(super::$module::$check(engine))); })*
        }

        /// The embedded engine as an unprivileged user, where the tests are run by root.
        mod rootless {
            $(#[test] fn $check() { super::harness::rootless(concat!("embedded::", stringify!($check))); })*
        }
    };
}

suite![
    machine::the_environment_arrives,
    machine::variables_are_exactly_the_cells,
    machine::names_and_accounts_are_the_cells,
    machine::processors_are_the_cells,
    machine::files_are_laid_among_the_programs_too,
    machine::only_the_agents_folders_are_writable,
    factors::every_factor_arrives,
    factors::a_plausible_machine_is_as_closed_as_a_bare_one,
    network::every_name_and_address_ends_at_the_gateway,
    network::nothing_else_answers,
    network::an_agent_that_goes_its_own_ways_is_seen,
    network::an_agent_that_goes_its_own_ways_by_ipv6_is_seen,
    network::parallel_slots_do_not_mix,
    network::late_traffic_is_not_the_next_cells,
    isolation::the_canary_flies,
    isolation::the_agent_has_no_power,
    isolation::the_gateway_survives_an_agent_that_kills_everything,
    isolation::the_host_is_invisible,
    isolation::cells_do_not_see_each_others_files,
    process::ends_are_reported_as_they_are,
    process::output_is_kept_and_cut,
    process::changed_files_are_reported,
    process::a_command_that_is_not_there_is_said_to_be,
    process::the_agent_starts_clean,
    process::what_is_left_running_is_ended,
    limits::a_hang_ends_at_its_deadline,
    limits::a_memory_hog_ends_at_its_limit,
    limits::a_fork_bomb_ends_at_its_limit,
];

/// The docker engine. Opened once for all checks: its images take their time.
#[test]
fn docker() {
    harness::docker(ALL);
}

#[test]
fn embedded_install_scripts_run_once_in_a_pod() {
    harness::install_scripts();
}

#[test]
fn embedded_cells_cost_milliseconds() {
    harness::embedded(|engine| Box::pin(limits::cells_cost_milliseconds(engine)));
}

#[test]
fn embedded_pods_end_when_they_are_given_up() {
    harness::embedded(|engine| Box::pin(endings::pods_end_when_they_are_given_up(engine)));
}

#[test]
fn embedded_pods_and_gateways_die_with_the_program() {
    endings::pods_and_gateways_die_with_the_program();
}

#[test]
fn rootless_pods_end_when_they_are_given_up() {
    harness::rootless("embedded_pods_end_when_they_are_given_up");
}

#[test]
fn rootless_pods_and_gateways_die_with_the_program() {
    harness::rootless("embedded_pods_and_gateways_die_with_the_program");
}

#[test]
fn rootless_install_scripts_run_once_in_a_pod() {
    harness::rootless("embedded_install_scripts_run_once_in_a_pod");
}

#[test]
fn node_is_of_the_version_that_is_asked_for() {
    runtimes::node_is_of_the_version_that_is_asked_for();
}

#[test]
fn python_is_of_the_version_that_is_asked_for() {
    runtimes::python_is_of_the_version_that_is_asked_for();
}

#[test]
fn a_local_program_runs_on_the_python_that_is_asked_for() {
    runtimes::a_local_program_runs_on_the_python_that_is_asked_for();
}

#[test]
fn a_python_that_nobody_has_is_refused() {
    runtimes::a_python_that_nobody_has_is_refused();
}

#[test]
fn runtimes_see_the_clock() {
    runtimes::runtimes_see_the_clock();
}

#[test]
fn node_trusts_as_the_level_says() {
    runtimes::node_trusts_as_the_level_says();
}

#[test]
fn python_and_curl_trust_as_the_level_says() {
    runtimes::python_and_curl_trust_as_the_level_says();
}

/// Not a test: the program that is killed by the one above.
#[test]
#[ignore = "run by another test"]
fn embedded_victim() {
    harness::embedded(|engine| Box::pin(endings::victim(engine)));
}

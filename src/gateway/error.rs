//! Why a gateway cannot serve, or cannot be talked to.

/// The gateway, not the agent, failed.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The certificate authority or a certificate could not be made.
    #[error("certificate authority: {0}")]
    Authority(#[from] rcgen::Error),
    /// The certificate authority that was handed over is not usable.
    #[error("certificate authority: {0}")]
    UnusableAuthority(String),
    /// The network namespace could not be set up.
    #[error("network namespace: {step}: {message}")]
    Network {
        /// What was being done, `bringing up lo`.
        step: &'static str,
        /// What went wrong.
        message: String,
    },
    /// A port could not be listened on.
    #[error("listening on port {port}: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the protocol is not what it must be.
    #[error("not a line of the gateway protocol: {0}")]
    Protocol(String),
    /// Reading or writing the protocol failed.
    #[error("talking to the gateway: {0}")]
    Io(#[from] std::io::Error),
    /// The gateway said that it cannot serve.
    #[error("the gateway cannot serve: {0}")]
    Fault(String),
    /// The gateway is gone.
    #[error("the gateway has ended")]
    Gone,
    /// The gateway did not answer in time.
    #[error("the gateway did not answer `{command}` within {seconds} s")]
    Silent {
        /// The command.
        command: &'static str,
        /// The limit.
        seconds: u64,
    },
}

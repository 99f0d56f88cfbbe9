namespace Regatta.Toxiproxy

/// A proxy as the server has it.
type Proxy =
    {
        Name: string
        /// host:port, the port resolved where the proxy has listened.
        Listen: string
        /// host:port.
        Upstream: string
        /// A proxy that is not enabled refuses connections.
        Enabled: bool
        /// Those of the upstream direction come first, and each direction in the order in which its bytes pass.
        Toxics: ProxyToxic list
    }

/// A proxy to be made.
type NewProxy =
    {
        Name: string
        /// host:port; with port 0 the system chooses.
        Listen: string
        /// host:port.
        Upstream: string
        Enabled: bool
    }

/// What changes about a proxy: None leaves it as it is. Another address closes all its connections.
type ProxyChange = { Listen: string option; Upstream: string option; Enabled: bool option }

module ProxyChange =
    let none: ProxyChange = { Listen = None; Upstream = None; Enabled = None }

    /// Up again, at the same address.
    let enable = { none with Enabled = Some true }

    /// Down: the listener and all connections are closed.
    let disable = { none with Enabled = Some false }

/// What the server answers when it does not do what it is asked.
type ToxiproxyError =
    {
        /// The HTTP status.
        Status: int
        Message: string
    }

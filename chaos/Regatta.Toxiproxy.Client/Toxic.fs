namespace Regatta.Toxiproxy

/// One of the two directions of a connection.
type Stream =
    /// From the client to the server.
    | Upstream
    /// From the server to the client.
    | Downstream

/// What is done to the bytes of one direction. Attributes are whole numbers, as the API has them.
[<RequireQualifiedAccess>]
type Toxic =
    /// Each chunk arrives `latency` ms late, give or take up to `jitter` ms. The order stays.
    | Latency of latency: int64 * jitter: int64
    /// At most `rate` KB (1,000 bytes) a second; 0 lets nothing through.
    | Bandwidth of rate: int64
    /// The end of the stream arrives `delay` ms late.
    | SlowClose of delay: int64
    /// All bytes are lost. The connection is closed when none came for `timeout` ms; 0 never closes it. Removing the toxic closes the connection.
    | Timeout of timeout: int64
    /// The connection is reset `timeout` ms after the first byte.
    | ResetPeer of timeout: int64
    /// Chunks are cut to `averageSize` bytes, give or take up to `sizeVariation`, with `delay` microseconds after each piece.
    | Slicer of averageSize: int64 * sizeVariation: int64 * delay: int64
    /// The connection is closed after so many bytes.
    | LimitData of bytes: int64
    /// Nothing at all.
    | Noop

/// A toxic that is on a proxy.
type ProxyToxic =
    {
        /// Unique on its proxy, over both streams.
        Name: string
        Toxic: Toxic
        Stream: Stream
        /// The chance that it acts on a connection, from 0 to 1. It is drawn once for each connection, and again with each update.
        Toxicity: float32
    }

/// A toxic to be put on a proxy.
type NewToxic =
    {
        /// The server calls it `<type>_<stream>` when there is no name.
        Name: string option
        Toxic: Toxic
        Stream: Stream
        /// From 0 to 1.
        Toxicity: float32
    }

module NewToxic =
    /// Acts on every connection, under the server's name for it.
    let on stream toxic = { Name = None; Toxic = toxic; Stream = stream; Toxicity = 1.0f }

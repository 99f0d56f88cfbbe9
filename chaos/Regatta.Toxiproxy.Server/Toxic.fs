namespace Regatta.Toxiproxy.Server

[<RequireQualifiedAccess>]
type internal Direction =
    | Upstream
    | Downstream

/// Times in ms, but the slicer's delay is in microseconds.
[<RequireQualifiedAccess>]
type internal Kind =
    | Latency of latency: int64 * jitter: int64
    | Bandwidth of rate: int64
    | SlowClose of delay: int64
    | Timeout of timeout: int64
    | ResetPeer of timeout: int64
    | Slicer of averageSize: int64 * sizeVariation: int64 * delay: int64
    | LimitData of bytes: int64
    | Noop

/// A toxic of a proxy.
type internal Toxic =
    {
        Name: string
        Kind: Kind
        /// As whoever added it wrote it, in whatever case: the API gives it back so.
        Stream: string
        Direction: Direction
        Toxicity: float32
    }

module internal Seed =
    /// Near seeds give far results: .NET's generator draws alike for seeds in a row.
    let mix (seed: int) (salt: int) =
        let mutable bits = (uint64 (uint32 seed) <<< 32) ||| uint64 (uint32 salt)
        bits <- (bits ^^^ (bits >>> 30)) * 0xbf58476d1ce4e5b9UL
        bits <- (bits ^^^ (bits >>> 27)) * 0x94d049bb133111ebUL
        int (uint32 (bits ^^^ (bits >>> 31)))

    let ofName (seed: int) (name: string) = name |> Seq.fold (fun sum letter -> mix sum (int letter)) seed

/// Where the slicer cuts.
module internal Regatta.Toxiproxy.Server.Slicing

open System

/// The lengths of the pieces of a chunk, each 1 at least, in order. A chunk is halved, give or take up to `variation`, until its parts are at most
/// `average` + `variation` long.
let lengths (random: Random) (average: int64) (variation: int64) (length: int) =
    // The original would not end, or cut at negative places, with less than these.
    let average = Math.Clamp(average, 1L, int64 Int32.MaxValue)
    let variation = Math.Clamp(variation, 0L, int64 (Int32.MaxValue / 2))

    let rec cut (length: int) pieces =
        if length <= 1 || int64 length - average <= variation then
            length :: pieces
        else
            let shift = if variation > 0L then int (random.NextInt64(-variation, variation)) else 0
            let left = Math.Clamp(length / 2 + shift, 1, length - 1)
            cut left (cut (length - left) pieces)

    cut length []

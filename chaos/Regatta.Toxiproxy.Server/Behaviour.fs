/// What each toxic does at its stage. Each function works until the stream has ended or the stage is interrupted, and loses no byte that its toxic does not lose.
module internal Regatta.Toxiproxy.Server.Behaviour

open System
open System.Threading.Tasks

/// Hands each chunk to `act`, which says whether to go on.
let private eachAsync (stage: Stage) (act: Chunk -> Task<bool>) =
    task {
        let mutable going = true

        while going do
            match! stage.TakeAsync() with
            | Taken.Chunk chunk ->
                let! more = act chunk
                going <- more
            | Taken.End ->
                stage.Close()
                going <- false
            | Taken.Interrupted -> going <- false
    }

let private noop (stage: Stage) =
    eachAsync stage (fun chunk ->
        task {
            do! stage.GiveAsync chunk
            return true
        })

let private latency (stage: Stage) milliseconds jitter =
    // Their sums must still be numbers.
    let milliseconds = min milliseconds (Int64.MaxValue / 4L)
    let jitter = min jitter (Int64.MaxValue / 4L)

    eachAsync stage (fun chunk ->
        task {
            let shift = if jitter > 0L then stage.Random.NextInt64(-jitter, jitter) else 0L
            // It goes by the arrival: a chunk that waited behind another one is not late twice.
            let due = chunk.Arrived + Clock.ofMilliseconds (milliseconds + shift)
            let! whole = stage.WaitAsync due
            if whole then chunk.Arrived <- due
            do! stage.GiveAsync chunk
            return whole
        })

/// One chunk at `rate` bytes a ms, in pieces of 100 ms each, where `early` is for how long the line may still send for nothing, as the last wait took too long.
/// Returns the same for the next chunk; None when interrupted: then the rest of this one has gone.
let private paceAsync (stage: Stage) (rate: int64) (early: int64) (chunk: Chunk) =
    task {
        let piece = rate * 100L
        let mutable whole = true

        while whole && int64 chunk.Length > piece do
            let! waited = stage.WaitAsync(Clock.now () + Clock.ofMilliseconds 100L)
            whole <- waited
            if whole then do! stage.GiveAsync(chunk.Cut(int piece))

        let due = Clock.now () + Clock.ofMicroseconds (int64 chunk.Length * 1_000L / rate) - early

        if whole then
            let! waited = stage.WaitAsync due
            whole <- waited

        let late = Clock.now () - due
        do! stage.GiveAsync chunk
        return if whole then Some late else None
    }

let private bandwidth (stage: Stage) (rate: int64) =
    task {
        let mutable going = true
        let mutable early = 0L
        // More than this is no limit, and would not be a number of bytes.
        let rate = min rate (int64 Int32.MaxValue / 100L)

        while going do
            match! stage.TakeAsync() with
            | Taken.Chunk chunk when rate = 0L ->
                let! _ = stage.WaitAsync Clock.never
                do! stage.GiveAsync chunk
                going <- false
            | Taken.Chunk chunk ->
                match! paceAsync stage rate early chunk with
                | Some late -> early <- late
                | None -> going <- false
            | Taken.End ->
                stage.Close()
                going <- false
            | Taken.Interrupted -> going <- false
    }

let private slowClose (stage: Stage) delay =
    task {
        let mutable going = true

        while going do
            match! stage.TakeAsync() with
            | Taken.Chunk chunk -> do! stage.GiveAsync chunk
            | Taken.End ->
                let! whole = stage.WaitAsync(Clock.now () + Clock.ofMilliseconds delay)
                if whole then stage.Close()
                going <- false
            | Taken.Interrupted -> going <- false
    }

/// Each chunk that is lost starts the time anew, as in the original.
let private timeout (stage: Stage) milliseconds =
    task {
        let mutable going = true

        while going do
            let due = if milliseconds > 0L then Clock.now () + Clock.ofMilliseconds milliseconds else Clock.never
            let! ready = stage.ReadyAsync due

            if not ready then
                stage.Close()
                going <- false
            else
                match! stage.TakeAsync() with
                | Taken.Chunk chunk -> chunk.Release()
                | Taken.End ->
                    stage.Close()
                    going <- false
                | Taken.Interrupted -> going <- false
    }

/// Anything at all starts the time, the end of the stream, too, and then nothing stops it.
let private resetPeer (stage: Stage) milliseconds =
    task {
        let resetAsync () =
            task {
                let! whole = stage.WaitOutAsync(Clock.now () + Clock.ofMilliseconds milliseconds)
                if whole then stage.Reset()
            }

        match! stage.TakeAsync() with
        | Taken.Chunk chunk ->
            chunk.Release()
            do! resetAsync ()
        | Taken.End -> do! resetAsync ()
        | Taken.Interrupted -> ()
    }

/// Delays of less than the timer's ms are saved up until they make one.
let private slicer (stage: Stage) average variation (delay: int64) =
    task {
        let mutable going = true
        let mutable owed = 0L
        let pause = Clock.ofMicroseconds delay
        let least = Clock.ofMilliseconds 1L

        while going do
            match! stage.TakeAsync() with
            | Taken.Chunk chunk ->
                let mutable pieces = Slicing.lengths stage.Random average variation chunk.Length

                while going && not pieces.IsEmpty do
                    do! stage.GiveAsync(chunk.Cut pieces.Head)
                    pieces <- pieces.Tail
                    owed <- owed + pause
                    let due = if owed >= least then Clock.now () + owed else 0L
                    let! whole = stage.WaitAsync due
                    if owed >= least then owed <- 0L
                    going <- whole

                if chunk.Length > 0 then do! stage.GiveAsync chunk else chunk.Release()
            | Taken.End ->
                stage.Close()
                going <- false
            | Taken.Interrupted -> going <- false
    }

let private limitData (stage: Stage) (bytes: int64) =
    eachAsync stage (fun chunk ->
        task {
            let left = max 0L (bytes - stage.Passed)
            let length = int (min left (int64 chunk.Length))
            let part = chunk.Cut length
            chunk.Release()
            if length > 0 then do! stage.GiveAsync part else part.Release()
            stage.Passed <- stage.Passed + int64 length
            let more = stage.Passed < bytes
            if not more then stage.Close()
            return more
        })

let private act (stage: Stage) kind =
    match kind with
    | Kind.Latency(latency', jitter) -> latency stage latency' jitter
    | Kind.Bandwidth rate -> bandwidth stage rate
    | Kind.SlowClose delay -> slowClose stage delay
    | Kind.Timeout timeout' -> timeout stage timeout'
    | Kind.ResetPeer timeout -> resetPeer stage timeout
    | Kind.Slicer(average, variation, delay) -> slicer stage average variation delay
    | Kind.LimitData bytes -> limitData stage bytes
    | Kind.Noop -> noop stage

let private leave (stage: Stage) =
    task {
        let mutable staying = true

        while staying do
            match stage.LeaveOrTake() with
            | ValueSome chunk -> do! stage.GiveAsync chunk
            | ValueNone -> staying <- false
    }

/// Works at a stage until nothing is left to do there.
let workAsync (stage: Stage) =
    task {
        let mutable working = true

        while working do
            match stage.Begin() with
            | Work.Act kind -> do! act stage kind
            | Work.Leave -> do! leave stage
            | Work.Nothing -> working <- false
    }

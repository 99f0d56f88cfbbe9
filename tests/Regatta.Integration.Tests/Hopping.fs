namespace Regatta.Integration.Tests

open System
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Protocol.Mvcc
open Regatta.Testing.Nodes

/// What somebody has written, at which revision, and tells others of, with the token of the session that knows it.
type Told = { Key: string; Count: int; Revision: int64; Token: string }

/// What clients tell each other, and what is known of all of them. Thread-safe.
type Board() =
    let gate = obj ()
    let mutable told: Told array = [||]
    let mutable highest = 0L
    let wrong = List<string>()
    let mutable reads = 0
    let mutable writes = 0
    let mutable globals = 0
    let mutable bounds = 0
    let mutable unmet = 0
    let acknowledged = List<struct (int64 * int64)>()
    let writtenAt = Dictionary<struct (string * int), int64>()
    let mutable late = 0

    /// The highest revision of a write that was acknowledged before a moment.
    let highestBefore (moment: int64) =
        let rec search low high =
            if low = high then
                low
            else
                let middle = (low + high) / 2
                let struct (at, _) = acknowledged[middle]
                if at < moment then search (middle + 1) high else search low middle

        match search 0 acknowledged.Count with
        | 0 -> 0L
        | found ->
            let struct (_, revision) = acknowledged[found - 1]
            revision

    /// The highest revision of a write that was acknowledged.
    member _.Highest = lock gate (fun () -> highest)

    member _.Wrote(news: Told) =
        lock gate (fun () ->
            writes <- writes + 1
            highest <- max highest news.Revision
            writtenAt[struct (news.Key, news.Count)] <- news.Revision
            acknowledged.Add(struct (Stopwatch.GetTimestamp(), highest))
            told <- Array.append (Array.truncate 20 told) [| news |])

    /// Whether a key may hold what it was found with by who knows of a write to it: that write, or one behind it. A write that nobody was told the fate of may come when its writer has long written again, so what
    /// counts is the revision and not the number.
    member _.Fits(told: Told, count: int, revision: int64) =
        lock gate (fun () ->
            if count < told.Count && revision > told.Revision then late <- late + 1

            revision >= told.Revision
            && match writtenAt.TryGetValue(struct (told.Key, count)) with
               | true, at -> at = revision
               | _ -> revision <> told.Revision)

    member _.Read(isGlobal: bool) =
        lock gate (fun () ->
            reads <- reads + 1
            if isGlobal then globals <- globals + 1)

    /// A read that began at a moment has shown a revision and told how stale it was at most: no write may be missing that was acknowledged before that.
    member board.Bounded(who: string, began: int64, revision: int64, trailers: Metadata) =
        match trailers.GetValue "regatta-staleness-ms" |> Option.ofObj with
        | None -> ()
        | Some told ->
            let floor = lock gate (fun () -> highestBefore (began - int64 told * Stopwatch.Frequency / 1000L))
            Interlocked.Increment &bounds |> ignore

            if revision < floor then
                board.Blame
                    $"{who} was shown revision {revision} and told that it was {told} ms stale at most, when {floor} had been acknowledged for longer"

    /// A read that asked for a bound was refused.
    member _.Unmet() = Interlocked.Increment &unmet |> ignore

    member _.Bounds = bounds

    member _.Hear(draw: Random) = lock gate (fun () -> if told.Length = 0 then None else Some told[draw.Next told.Length])
    member _.Blame(what: string) = lock gate (fun () -> wrong.Add what)
    member _.Wrong = lock gate (fun () -> List.ofSeq wrong)

    member _.Text =
        lock gate (fun () ->
            $"{writes} writes and {reads - globals} reads of hopping sessions, {globals} global reads, {bounds} bounds on staleness checked, {unmet} that were asked for refused; {late} reads of a write that came behind a later one of its writer, who was not told its fate")

/// Clients that go from node to node, of any site, and must not notice.
module Hopping =
    let private table = ByteString.CopyFromUtf8 Launch.table
    let private bytes (text: string) = ByteString.CopyFromUtf8 text
    let private zero = ByteString.CopyFrom 0uy
    let private within (seconds: float) = Nullable(DateTime.UtcNow.AddSeconds seconds)
    let private pause = TimeSpan.FromMilliseconds 5.0

    let private headers (tokens: string list) =
        let all = Metadata()

        for token in tokens do
            all.Add("regatta-session", token)

        all

    let private tokenIn (trailers: Metadata) before = trailers.GetValue "regatta-session" |> Option.ofObj |> Option.defaultValue before

    let private countIn (pair: KeyValue) = int (pair.Value.ToStringUtf8())

    /// One session: writes numbers that go up to a key of its own, and reads that key, and those that others have told of; each time at another node.
    let session (seed: int) (name: string) (kvs: KV.KVClient array) (board: Board) (stop: CancellationToken) =
        task {
            let draw = Random seed
            let mutable token = ""
            let mutable seen = 0L
            let mutable last = { Key = name; Count = 0; Revision = 0L; Token = "" }
            let mutable tried = 0

            let noted (trailers: Metadata) = token <- tokenIn trailers token

            let put (kv: KV.KVClient) =
                task {
                    tried <- tried + 1
                    let request = PutRequest(Table = table, Key = bytes name, Value = bytes (string tried))
                    use call = kv.PutAsync(request, headers [ token ], within 5.0)
                    let mine = tried

                    try
                        let! reply = call.ResponseAsync
                        noted (call.GetTrailers())
                        let revision = int64 reply.Header.Revision
                        seen <- max seen revision
                        last <- { Key = name; Count = mine; Revision = revision; Token = token }
                        board.Wrote last
                    with :? RpcException as e ->
                        noted e.Trailers
                }

            let read (kv: KV.KVClient) (told: Told) tokens =
                task {
                    let began = Stopwatch.GetTimestamp()
                    use call = kv.RangeAsync(RangeRequest(Table = table, Key = bytes told.Key), headers tokens, within 5.0)

                    try
                        let! reply = call.ResponseAsync
                        noted (call.GetTrailers())
                        board.Read false
                        let revision = int64 reply.Header.Revision
                        board.Bounded(name, began, revision, call.GetTrailers())
                        if revision < seen then board.Blame $"{name} has seen revision {seen}, and was shown {revision}"
                        seen <- max seen revision

                        match Seq.tryHead reply.Kvs with
                        | Some pair when board.Fits(told, countIn pair, int64 pair.ModRevision) -> ()
                        | found ->
                            board.Blame
                                $"{name} read {found} at revision {revision}, and knows that {told.Key} was written as {told.Count} at revision {told.Revision}"
                    with :? RpcException as e ->
                        noted e.Trailers
                        if e.StatusCode = StatusCode.FailedPrecondition then board.Blame $"{name}: {e.Status}"
                }

            while not stop.IsCancellationRequested do
                let kv = kvs[draw.Next kvs.Length]

                match draw.Next 10 with
                | draw when draw < 4 -> do! put kv
                | draw when draw < 8 && last.Count > 0 -> do! read kv last [ token ]
                | _ ->
                    match board.Hear draw with
                    | Some told -> do! read kv told [ token; told.Token ]
                    | None -> ()

                do! Task.Delay(pause, TimeProvider.System)
        }

    /// Global reads: each sees at least what was acknowledged to anybody before it began.
    let globals (seed: int) (kvs: KV.KVClient array) (board: Board) (stop: CancellationToken) =
        task {
            let draw = Random seed

            while not stop.IsCancellationRequested do
                let floor = board.Highest
                let began = Stopwatch.GetTimestamp()
                let request = RangeRequest(Table = table, Key = bytes "nobody's", Consistency = Consistency.Global)

                try
                    use call = kvs[draw.Next kvs.Length].RangeAsync(request, deadline = within 5.0)
                    let! reply = call.ResponseAsync
                    board.Read true
                    board.Bounded("a global read", began, int64 reply.Header.Revision, call.GetTrailers())

                    if int64 reply.Header.Revision < floor then
                        board.Blame $"a global read showed revision {reply.Header.Revision} after {floor} was acknowledged"
                with :? RpcException ->
                    ()

                do! Task.Delay(pause, TimeProvider.System)
        }

    /// Reads of whatever a node has, and with a bound that is asked for.
    let bounded (seed: int) (kvs: KV.KVClient array) (board: Board) (stop: CancellationToken) =
        task {
            let draw = Random seed

            while not stop.IsCancellationRequested do
                let floor = board.Highest
                let began = Stopwatch.GetTimestamp()
                let most = if draw.Next 2 = 0 then 0UL else uint64 (draw.Next(1, 1000))
                let request = RangeRequest(Table = table, Key = bytes "nobody's", MaxStalenessMs = most)

                try
                    use call = kvs[draw.Next kvs.Length].RangeAsync(request, deadline = within 2.0)
                    let! reply = call.ResponseAsync
                    let revision = int64 reply.Header.Revision
                    board.Bounded("a local read", began, revision, call.GetTrailers())

                    match call.GetTrailers().GetValue "regatta-staleness-ms" |> Option.ofObj with
                    | Some told when most > 0UL && uint64 told > most && revision < floor ->
                        board.Blame
                            $"a read that asked for at most {most} ms was told {told}, and shown revision {revision} when {floor} had been acknowledged before it began"
                    | None when most > 0UL -> board.Blame $"a read that asked for at most {most} ms was told of no bound"
                    | _ -> ()
                with :? RpcException ->
                    if most > 0UL then board.Unmet()

                do! Task.Delay(pause, TimeProvider.System)
        }

    /// An event in short.
    type Event = int64 * string * string

    let private event (change: WatchEvent) : Event =
        change.Kv.ModRevision, change.Kv.Key.ToStringUtf8(), $"{change.Type} {change.Kv.Value.ToStringUtf8()} {change.Kv.Version}"

    /// Watches the whole table from its first revision on, for a while at each node, until it has had a revision. All that it had; and at how many nodes.
    let watch (seed: int) (kvs: KV.KVClient array) (last: Task<int64>) =
        task {
            let draw = Random seed
            let had = List<Event>()
            let place = WatchPlace()
            let mutable hops = 0
            let isDone () = last.IsCompletedSuccessfully && place.Next > last.Result

            let note (message: WatchResponse) =
                had.AddRange(message.Events |> Seq.map event)
                place.Note message

            while not (isDone ()) do
                hops <- hops + 1
                use ending = new CancellationTokenSource(TimeSpan.FromMilliseconds(float (draw.Next(20, 2000))))
                use call = kvs[draw.Next kvs.Length].Watch(cancellationToken = ending.Token)

                try
                    do! call.RequestStream.WriteAsync(WatchRequest(Create = place.Create Launch.table))
                    let mutable isOpen = true

                    while isOpen && not (isDone ()) do
                        let! some = call.ResponseStream.MoveNext CancellationToken.None
                        isOpen <- some && isNull call.ResponseStream.Current.End
                        if isOpen then note call.ResponseStream.Current
                with
                | :? RpcException
                | :? IO.IOException
                | :? Net.Http.HttpRequestException
                | :? InvalidOperationException ->
                    // It was time to go, or the node went.
                    ()

            // A write whose fate nobody was told may come after the last one.
            return had |> Seq.filter (fun (revision, _, _) -> revision <= last.Result) |> List.ofSeq, hops
        }

namespace Regatta.Replication.Tests

open System
open System.Collections.Generic
open System.IO
open System.Threading
open System.Threading.Tasks
open Regatta.Core
open Regatta.Replication

/// What a leader site says of the life of its table.
type Manners =
    /// As LogService does it: compares, and names its life.
    | Honest
    /// Names its life, and sends what it is asked for whatever the follower's life is.
    | Careless
    /// One that knows nothing of lives.
    | Nameless

/// Who answers for a table.
[<NoComparison>]
type Answering =
    {
        Table: LeaderTable
        Manners: Manners
        /// It has the life and a part of the history of the follower's table, and has been written on differently.
        IsFork: bool
    }

[<NoComparison>]
type Answer =
    | Nobody
    | NoSuchTable
    | Answers of Answering

/// The leader site behind a network that is slow, breaks, and sometimes leads elsewhere. What is served is what the real feed of the real changelog says.
[<Sealed>]
type LeaderSite(scene: Scene) =
    let answers = Dictionary<string, Answer>()

    /// What a request for a table meets.
    member _.Item
        with get (name: string) = answers[name]
        and set name (answer: Answer) = answers[name] <- answer

    interface ILeaderSite with
        member _.TablesAsync _ = raise (NotSupportedException())
        member site.PullAsync(name, position, token) = PulledStream(scene, site, name, position, token)

/// One stream, bound to the table that answered when it was opened.
and [<Sealed>] private PulledStream(scene: Scene, site: LeaderSite, name: string, position: FeedPosition, token: CancellationToken) =
    let mutable feed: IAsyncEnumerator<FeedItem> voption = ValueNone
    let mutable served = ValueNone
    let mutable current = PulledItem()

    let unreachable what = raise (LeaderSiteException(LeaderFailure.Unreachable, what))

    let openFeed () =
        task {
            do! scene.Wait(scene.While 150, token)
            if scene.Happens 8 then unreachable "it could not be opened"
            let noTable () = raise (LeaderSiteException(LeaderFailure.NoTable, "no such table"))
            if scene.Happens 2 then noTable ()

            match site[name] with
            | Nobody -> return unreachable "nobody is there"
            | NoSuchTable -> return noTable ()
            | Answers answering ->
                let asked = if answering.Manners = Honest then position else FeedPosition(position.Next, Nullable(), Nullable())
                let batchBytes = scene.Choose [| 1; 200; 2_000; 100_000 |]
                let feed = ChangeFeed(answering.Table, answering.Table.Life, batchBytes, scene.Time)
                served <- ValueSome answering
                scene.Tell(fun () -> $"{answering.Table} ({answering.Manners}) is asked for revision {position.Next} on")
                return feed.ReadAsync(asked, not (scene.Happens 10), token).GetAsyncEnumerator token
        }

    /// On its way an item may be late, or lost with all that would come behind it.
    let carry (answering: Answering) =
        task {
            do! scene.Wait(scene.While(scene.Choose [| 1; 30; 600 |]), token)

            let isOld =
                match site[name] with
                | Answers now -> not (Object.ReferenceEquals(now.Table, answering.Table))
                | _ -> true

            if isOld && (not scene.IsStormy || scene.Happens 50) then unreachable "the node that answered is gone"
            if scene.Happens 6 then unreachable "the stream broke"
            if scene.Happens 1 then raise (InvalidDataException "garbled")
        }

    interface IAsyncEnumerable<PulledItem> with
        member stream.GetAsyncEnumerator _ = stream

    interface IAsyncEnumerator<PulledItem> with
        member _.Current = current

        member _.MoveNextAsync() =
            ValueTask<bool>(
                task {
                    if feed.IsNone then
                        let! opened = openFeed ()
                        feed <- ValueSome opened

                    let! hasNext = feed.Value.MoveNextAsync()

                    if hasNext then
                        let answering = served.Value
                        let item = feed.Value.Current
                        let revision = answering.Table.Revision
                        do! carry answering
                        let life = if answering.Manners = Nameless then Nullable() else Nullable answering.Table.Life
                        current <- PulledItem(item, revision, life)

                    return hasNext
                }
            )

        member _.DisposeAsync() =
            match feed with
            | ValueSome feed -> feed.DisposeAsync()
            | ValueNone -> ValueTask.CompletedTask

/// What befalls a site, one thing after another, drawn from a seed.
module Regatta.Raft.Tests.Troubles

open System
open System.Collections.Concurrent
open System.Threading
open System.Threading.Tasks
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures
open Regatta.Raft.Tests.SiteLife
open Regatta.Raft.Tests.Weather

type Trouble =
    | Storm
    | Divide
    | Isolate
    | OneWay
    | Heal
    | Crash of node: int64 * loses: bool
    | CrashAll
    | Hold of node: int64 * fails: bool
    | Flush
    | Move of node: int64 * target: int64
    | Restart

type Troubles(site: Site, weather: Weather, groups: int64 list, seed: int) =
    let random = Random seed
    let draw (items: 'a list) = items[random.Next items.Length]
    let chance percent = random.Next 100 < percent
    let lives = dict [ for id in site.Ids -> id, new SemaphoreSlim(1) ]
    let installs = ConcurrentDictionary<struct (int64 * int64), Task>()
    let mutable installed = 0
    let history = ConcurrentQueue<string>()

    /// One start, stop or swap of a node at a time.
    let alone (id: int64) (work: unit -> Task<unit>) =
        task {
            do! lives[id].WaitAsync()

            try
                do! work ()
            finally
                lives[id].Release() |> ignore
        }

    let start id =
        alone id (fun () ->
            task {
                if (site.TryNode id).IsNone then
                    let! _ = site.StartNode id
                    ()
            })

    let crash id loses =
        // What is not synced yet is lost, or is written after all although nobody hears of it any more. An installation may have to wait for a gate that is held until then.
        if loses then site.TryNode id |> Option.iter (fun node -> node.Gate.Fail(IO.IOException "a test pulls the plug"))

        alone id (fun () -> task { if (site.TryNode id).IsSome then do! site.Crash id })

    /// The state that the leader's node has on disk, as a snapshot would bring it.
    let install (id: int64) (need: SnapshotNeed) =
        alone id (fun () ->
            task {
                let state = (site.Disk(need.LeaderNodeId).Table need.GroupId).State
                let own = (site.Disk(id).Table need.GroupId).State
                let index = (GroupLife.appliedOf state).Index

                match site.TryNode id with
                | Some node when isNull node.FailStop.Cause && index >= need.LeastIndex && index > (GroupLife.appliedOf own).Index ->
                    Interlocked.Increment &installed |> ignore
                    do! node.Install(need.GroupId, state)
                | _ -> ()
            })

    let pairs (one: int64 list) (other: int64 list) =
        [ for a in one do
              for b in other do
                  a, b
                  b, a ]

    let shuffled () = site.Ids |> List.sortBy (fun _ -> random.Next())

    let choose () =
        match random.Next 100 with
        | roll when roll < 16 -> Storm
        | roll when roll < 23 -> Divide
        | roll when roll < 30 -> Isolate
        | roll when roll < 35 -> OneWay
        | roll when roll < 54 -> Heal
        | roll when roll < 66 -> Crash(draw site.Ids, chance 70)
        | roll when roll < 69 -> CrashAll
        | roll when roll < 80 -> Hold(draw site.Ids, chance 60)
        | roll when roll < 87 -> Flush
        | roll when roll < 91 -> Move(draw site.Ids, draw site.Ids)
        | _ -> Restart

    let run trouble =
        task {
            match trouble with
            | Storm ->
                for a in site.Ids do
                    for b in site.Ids do
                        if a <> b && chance 60 then weather.SetSky(a, b, drawSky random)
            | Divide ->
                let nodes = shuffled ()
                let few, many = List.splitAt (random.Next(1, nodes.Length)) nodes
                weather.Cut(pairs few many)
            | Isolate ->
                let one = draw site.Ids
                weather.Cut(pairs [ one ] (List.except [ one ] site.Ids))
            | OneWay ->
                let a = draw site.Ids

                weather.Cut
                    [ for b in site.Ids do
                          if b <> a && chance 70 then (if chance 50 then (a, b) else (b, a)) ]
            | Heal -> weather.Heal()
            | Crash(id, loses) -> do! crash id loses
            | CrashAll ->
                for id in shuffled () do
                    do! crash id (chance 70)

                for id in shuffled () do
                    do! start id
            | Hold(id, fails) ->
                match site.TryNode id with
                | Some node ->
                    node.Gate.Close()
                    do! Task.Delay(random.Next(1, 400))
                    if fails then do! crash id true else node.Gate.Open()
                | None -> ()
            | Flush ->
                for node in site.Nodes do
                    for group in node.Groups do
                        do! group.MaintainAsync()
            | Move(id, target) ->
                match site.TryNode id |> Option.bind _.TryGroup(draw groups) with
                | Some group ->
                    use limit = new CancellationTokenSource(random.Next(50, 3000))

                    try
                        let! _ = (group :> ITableGroup).MoveLeaderAsync(target, limit.Token).AsTask()
                        ()
                    with :? OperationCanceledException ->
                        ()
                | None -> ()
            | Restart ->
                for id in shuffled () do
                    do! start id
        }

    /// What has befallen the site, for the report of a failure.
    member _.History = List.ofSeq history

    member _.Installed = Volatile.Read &installed

    /// A node says that it needs a state; it gets it as soon as nothing else is done to it.
    member _.NeedsSnapshot(id: int64, need: SnapshotNeed) =
        let key = struct (id, need.GroupId)
        let mine = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

        if installs.TryAdd(key, mine.Task) then
            task {
                try
                    do! install id need
                    mine.SetResult()
                with e ->
                    mine.SetException e

                installs.TryRemove key |> ignore
            }
            |> ignore

    member _.Run(steps: int) =
        task {
            for _ in 1..steps do
                let trouble = choose ()
                history.Enqueue $"%A{trouble}"
                do! run trouble
                do! Task.Delay(random.Next(10, 350))
        }

    /// All nodes run, and the network is whole.
    member _.End() =
        task {
            weather.Heal()
            do! Task.WhenAll [| for id in site.Ids -> (start id :> Task) |]
        }

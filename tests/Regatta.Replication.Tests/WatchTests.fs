/// Watches of a table that is written to and trimmed, by clients that read when they like, leave in the middle and come back: each gets every change of its keys, in order, once.
module Regatta.Replication.Tests.WatchTests

open System
open Expecto
open Regatta
open Regatta.Raft
open Regatta.Replication
open Regatta.Testing

/// What an event said of what was there before, when the changelog began at a revision.
[<NoComparison>]
type private Before = { Oldest: int64; Said: Core.KeyRecord | null }

/// A client of one watch, which remembers what it has had.
type private Client
    (table: LeaderTable, watches: TableWatches, keys: Core.KeyRange, start: int64, withPrevious: bool, chain: Nullable<Core.ChainHash>) =
    let had = ResizeArray<Seen * Before>()
    let mutable next = start
    let mutable skip = 0
    let mutable chain = chain
    let mutable isReady = false
    let mutable watch: Watch option = None
    let mutable ended: WatchEnd option = None

    let openWatch () =
        let opened = watches.Watch(WatchedKeys(keys, withPrevious), WatchStart(next, int64 skip, chain), (fun _ -> isReady <- true))
        watch <- Some opened
        opened.Start()

    do openWatch ()

    member _.Start = start
    member _.Next = next
    member _.Ended = ended
    member _.IsReady = isReady && ended.IsNone
    member _.Had = List.ofSeq had
    member _.WithPrevious = withPrevious
    member _.Wants event = Seen.isOf keys event

    member _.Read() =
        isReady <- false

        match watch.Value.Next() with
        | :? WatchItem.Events as events ->
            had.AddRange(events.Items |> Seq.map (fun event -> Seen.ofEvent event, { Oldest = table.Oldest; Said = event.Previous }))

            let sent = if events.IsComplete then events.Revision else events.Revision - 1L
            // Of what was before the first revision that it read a watch knows only what its client told it.
            let known = if not events.IsComplete && events.Revision = next then chain else Nullable(snd (table.At sent))
            Expect.equal events.Chain known $"the chain hash at revision {sent}"
            chain <- events.Chain

            if events.IsComplete then
                next <- events.Revision + 1L
                skip <- 0
            else
                let more = events.Items |> Seq.filter (fun event -> event.Revision = events.Revision) |> Seq.length
                skip <- (if events.Revision = next then skip else 0) + more
                next <- events.Revision
        | :? WatchItem.Progress as progress ->
            if progress.Revision >= next then
                next <- progress.Revision + 1L
                skip <- 0
                chain <- progress.Chain
        | :? WatchItem.Ended as last -> ended <- Some last.End
        | null -> ()
        | other -> failtest $"{other}"

    /// Goes away, whatever was under way, and comes back where it was.
    member _.ComeBack() =
        watch.Value.Close()
        if ended.IsNone then openWatch ()

    member _.Ask() = watch.Value.AskForProgress()

/// What was there before each event, by replaying all of them.
let private withPrevious (table: LeaderTable) =
    let replace present (event: Seen) =
        (event, Map.tryFind event.Key present),
        (if event.Value.IsSome then Map.add event.Key event present else Map.remove event.Key present)

    [ 1L .. table.Revision ] |> List.collect table.Events |> List.mapFold replace Map.empty |> fst

/// Of a value that the changelog does not have any more only the revision is told.
let private gone (previous: Seen) = { previous with Value = None; Created = 0L; Version = 0L }

let private toldBefore before =
    match before.Said with
    | null -> None
    | said ->
        Some
            { Revision = said.Header.ModRevision
              Key = Seen.text said.Key
              Value = if said.Header.Version > 0L then Some(Seen.text said.Value) else None
              Created = said.Header.CreateRevision
              Version = said.Header.Version }

/// What a run came to.
type private Run = { Watches: int; Events: int; TooLate: int; Kept: int; Lost: int; Large: int }

let private sum a b =
    { Watches = a.Watches + b.Watches
      Events = a.Events + b.Events
      TooLate = a.TooLate + b.TooLate
      Kept = a.Kept + b.Kept
      Lost = a.Lost + b.Lost
      Large = a.Large + b.Large }

let private run seed =
    task {
        let scene = Scene(seed, false)
        let table = LeaderTable(scene, Core.Incarnation(Guid(Array.init 16 byte), 1L))
        let watches = TableWatches table
        // Others write between a reader's look and its next step.
        let large = ref 0

        // More than the reader that watches share takes of one revision; in some runs only, for they are slow.
        let writeMany () =
            if seed % 50 = 0 && large.Value < 12 then
                large.Value <- large.Value + 1
                table.WriteMany 5_000

        let busy () =
            match scene.Random.Next 100 with
            | draw when draw < 12 -> table.Write()
            | 12 -> writeMany ()
            | _ -> ()

        table.AfterRead <- busy
        let clients = ResizeArray<Client>()

        for _ in 1..300 do
            match scene.Random.Next 100 with
            | draw when draw < 40 ->
                for _ in 0 .. scene.Random.Next 4 do
                    table.Write()
            | draw when draw < 50 && clients.Count < 12 ->
                let start = max 1L (scene.Random.NextInt64(table.Revision + 4L))
                clients.Add(Client(table, watches, Seen.drawKeys scene.Random, start, scene.Random.Next 2 = 0, Nullable()))
            | draw when draw < 90 && clients.Count > 0 ->
                let client = clients[scene.Random.Next clients.Count]
                if client.IsReady then client.Read()
            | draw when draw < 94 && clients.Count > 0 -> clients[scene.Random.Next clients.Count].ComeBack()
            | draw when draw < 98 && clients.Count > 0 -> clients[scene.Random.Next clients.Count].Ask()
            | 98 -> writeMany ()
            | 99 -> if table.Revision > 0L then table.Trim()
            | _ -> ()

        table.AfterRead <- ignore
        let replacing = withPrevious table
        let mutable kept, lost = 0, 0

        for client in clients do
            client.Ask()

            while client.IsReady do
                client.Read()

        for client in clients do
            match client.Ended with
            | Some(:? WatchEnd.Compacted as compacted) ->
                Expect.isLessThan client.Next compacted.Oldest $"seed {seed}: only what is not kept is refused"
            | Some other -> failtest $"seed {seed}: {other}"
            | None -> Expect.equal client.Next (max client.Start (table.Revision + 1L)) $"seed {seed}: all was sent"

            let expected =
                [ for event, previous in replacing do
                      if event.Revision >= client.Start && event.Revision < client.Next && client.Wants event then event, previous ]

            let complete = client.Had |> List.filter (fun (event, _) -> event.Revision < client.Next)
            Expect.sequenceEqual (List.map fst complete) (List.map fst expected) $"seed {seed}: from {client.Start} to {client.Next}"

            for (event, previous), (_, before) in List.zip expected complete do
                let known = before |> toldBefore
                let due = if client.WithPrevious then previous else None

                match due with
                | Some previous when previous.Revision < before.Oldest && known = Some(gone previous) -> lost <- lost + 1
                | _ ->
                    Expect.equal known due $"seed {seed}: what was there before {event}"
                    if due.IsSome then kept <- kept + 1

        do! watches.DisposeAsync()

        return
            { Watches = clients.Count
              Events = clients |> Seq.sumBy _.Had.Length
              TooLate = clients |> Seq.filter _.Ended.IsSome |> Seq.length
              Kept = kept
              Lost = lost
              Large = large.Value }
    }

let private life = Core.Incarnation(Guid(Array.init 16 byte), 1L)

let private written (table: LeaderTable) count =
    for _ in 1..count do
        table.Write()

/// All that a watch has to say at the moment.
let rec private said (watch: Watch) : WatchItem list =
    match watch.Next() with
    | null -> []
    | :? WatchItem.Ended as last -> [ last ]
    | item -> item :: said watch

let private everything = WatchedKeys(Core.KeyRange.From(ReadOnlyMemory [| 0uy |]), false)

/// A watch of all keys that has nothing to say yet.
let private follow (watches: TableWatches) withPrevious start known =
    let watch = watches.Watch(WatchedKeys(everything.Range, withPrevious), WatchStart(start, 0L, known), ignore)
    watch.Start()
    Expect.isEmpty (said watch) $"there is nothing of revision {start} yet"
    watch

let private endOf (items: WatchItem list) =
    match List.tryLast items with
    | Some(:? WatchItem.Ended as last) -> Some last.End
    | _ -> None

let private isOther (ending: WatchEnd option) =
    match ending with
    | Some(:? WatchEnd.OtherHistory) -> true
    | _ -> false

/// A table that has come to a revision, and a fork of it that differs from there on.
let private forked seed =
    let scene = Scene(seed, false)
    let table = LeaderTable(scene, life)
    written table 20
    let fork = table.PutBack 10L
    written fork 10

    if snd (fork.At 20L) = snd (table.At 20L) then failtest $"seed {seed}: the fork has done the same"
    table, fork

/// A table whose state can be replaced by another one.
type private Replaceable(first: LeaderTable) =
    member val Table = first with get, set
    member private group.Now: ITableGroup = group.Table

    interface ITableGroup with
        member group.GroupId = group.Now.GroupId
        member group.Reader = group.Now.Reader
        member group.ReadBarrierAsync token = group.Now.ReadBarrierAsync token
        member group.WaitForRevisionAsync(revision, token) = group.Now.WaitForRevisionAsync(revision, token)
        member group.ProposeAsync(command, token) = group.Now.ProposeAsync(command, token)
        member group.OpenViewAsync(revision, token) = group.Now.OpenViewAsync(revision, token)
        member group.LedAtAsync token = group.Now.LedAtAsync token
        member group.MoveLeaderAsync(node, token) = group.Now.MoveLeaderAsync(node, token)
        member group.Term = group.Now.Term
        member group.LeaderNodeId = group.Now.LeaderNodeId
        member group.Fault = group.Now.Fault
        member group.Status = group.Now.Status
        member group.DisposeAsync() = group.Now.DisposeAsync()

let private isReplaced (ending: WatchEnd option) =
    match ending with
    | Some(:? WatchEnd.Replaced) -> true
    | _ -> false

let private histories =
    testList
        "histories"
        [ testCaseTask "a watch that goes on in another history than the one it is of ends, and only then" (fun () ->
              task {
                  for seed in Seed.current .. Seed.current + 49 do
                      let table, fork = forked seed
                      let differs = [ 1L .. 20L ] |> List.find (fun at -> snd (fork.At at) <> snd (table.At at))
                      let watches = TableWatches fork

                      for start in 2L .. 20L do
                          let watch = watches.Watch(everything, WatchStart(start, 0L, Nullable(snd (table.At(start - 1L)))), ignore)
                          watch.Start()

                          Expect.equal
                              (isOther (endOf (said watch)))
                              (start > differs)
                              $"seed {seed}: from {start} on; {differs} is the first that differs"

                          watch.Close()

                      do! watches.DisposeAsync()
              })

          testCaseTask
              "a watch that has had all of another history ends when something is written, whether it is at the end of the table or ahead of it"
              (fun () ->
                  task {
                      for seed in Seed.current .. Seed.current + 49 do
                          let table, fork = forked seed
                          // Without a changelog, too.
                          if seed % 2 = 0 then fork.Oldest <- fork.Revision + 1L
                          let watches = TableWatches fork
                          let follow start (known: Core.ChainHash) = follow watches false start (Nullable known)
                          let wrong = follow 21L (snd (table.At 20L))
                          let right = follow 21L (snd (fork.At 20L))
                          let ahead = follow 23L (snd (table.At 20L))
                          written fork 1
                          Expect.isTrue (isOther (endOf (said wrong))) $"seed {seed}: another history"
                          Expect.isNone (endOf (said right)) $"seed {seed}: the same history"
                          written fork 1
                          Expect.isEmpty (said ahead) $"seed {seed}: nothing to compare yet"
                          let again = follow 23L (snd (fork.At 22L))
                          written fork 1
                          Expect.isTrue (isOther (endOf (said ahead))) $"seed {seed}: another history"
                          Expect.isNone (endOf (said again)) $"seed {seed}: the same history"
                          do! watches.DisposeAsync()
                  })

          testCaseTask
              "a watch that has fallen behind does not go on in another state that has come meanwhile, nor look up there what was replaced"
              (fun () ->
                  task {
                      for seed in Seed.current .. Seed.current + 9 do
                          let table, fork = forked seed
                          let group = Replaceable table
                          let watches = TableWatches group
                          let plain = follow watches false 21L (Nullable())
                          let replacing = follow watches true 21L (Nullable())
                          written table 600
                          written fork 1_200
                          group.Table <- fork
                          Expect.isTrue (isReplaced (endOf (said plain))) $"seed {seed}: it has to be made again"

                          match said replacing with
                          | [ :? WatchItem.Ended as last ] ->
                              Expect.isTrue (isReplaced (Some last.End)) $"seed {seed}: nothing of the other one"
                          | other -> failtest $"seed {seed}: %A{other}"

                          do! watches.DisposeAsync()
                  })

          testCaseTask "a watch that has read one state to its end is not fed from another one that ends at the same revision" (fun () ->
              task {
                  let table, fork = forked Seed.current
                  let group = Replaceable table
                  let watches = TableWatches group
                  let former = watches.Watch(everything, WatchStart(1L, 0L, Nullable()), ignore)
                  former.Start()

                  match former.Next() with
                  | :? WatchItem.Events as events -> Expect.equal events.Revision 20L "it has read all"
                  | other -> failtest $"%A{other}"

                  group.Table <- fork
                  let later = watches.Watch(everything, WatchStart(1L, 0L, Nullable()), ignore)
                  later.Start()
                  Expect.isNone (endOf (said later)) "it is fed from the other state"
                  Expect.isTrue (isReplaced (endOf (said former))) "it has to be made again"
                  do! watches.DisposeAsync()
              })

          testCaseTask "a watch that waits for what is to come keeps no other one from being fed" (fun () ->
              task {
                  let table, _ = forked Seed.current
                  let watches = TableWatches table
                  follow watches false Int64.MaxValue (Nullable()) |> ignore
                  let near = follow watches false 21L (Nullable())
                  near.AskForProgress()

                  match said near with
                  | [ :? WatchItem.Progress as progress ] -> Expect.equal progress.Revision 20L "it is fed"
                  | other -> failtest $"%A{other}"

                  do! watches.DisposeAsync()
              }) ]

let tests =
    testList
        "watches"
        [ testCaseTask "bring every change of their keys, in order, once" (fun () ->
              task {
                  let count = Scale.pick 100 5_000
                  let mutable all = { Watches = 0; Events = 0; TooLate = 0; Kept = 0; Lost = 0; Large = 0 }

                  for seed in Seed.current .. Seed.current + count - 1 do
                      let! one = run seed
                      all <- sum all one

                  printfn
                      $"{count} runs: {all.Watches} watches, {all.Events} events, {all.TooLate} watches that came too late; {all.Kept} previous values, and {all.Lost} that were not kept; {all.Large} large revisions"

                  Expect.isGreaterThan all.Events count "events"
                  Expect.isGreaterThan all.TooLate 0 "some came too late"
                  Expect.isGreaterThan all.Kept count "previous values"
                  Expect.isGreaterThan all.Lost 0 "some were not kept"
                  Expect.isGreaterThan all.Large 0 "revisions that the watches do not share"
              })

          histories ]

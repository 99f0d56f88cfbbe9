/// Sessions, global reads and watches that go from node to node of three sites, while nodes are killed, stopped and cut off.
module Regatta.Integration.Tests.HoppingTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Protocol.V1
open Regatta.Testing
open Regatta.Testing.Nodes

type private Fault =
    | Kill of site: int
    | Pause of site: int
    | MoveLeader of site: int
    | CutLinks
    | SetClock

let private kinds =
    [| Kill 0
       Kill 1
       Kill 2
       Pause 0
       Pause 0
       Pause 1
       Pause 1
       Pause 2
       MoveLeader 0
       MoveLeader 1
       CutLinks
       CutLinks
       SetClock
       SetClock |]

let private milliseconds (draw: Random) least most = TimeSpan.FromMilliseconds(float (draw.Next(least, most)))

/// A leader site of three, a follower site of three, and one of one.
type private ThreeSites(scratch: Scratch) =
    let clocks = NodeClocks scratch
    let two = new TwoSites(scratch, [], clocks.Give)
    let ports = Ports.Take()
    let start = Launch.followerNode [ for link in two.Links -> link.Address ] 1 (scratch.Sub "far") [ ports ] [] |> clocks.Give
    let mutable far: NodeProcess option = None

    member _.Two = two
    member _.Clocks = clocks
    member _.FarRest = ports.Rest

    member _.Ports =
        [ for site in [ two.Leader; two.Follower ] do
              yield! Site.All |> List.map site.Port ]
        @ [ ports.Clients ]

    member _.StartFar() =
        far |> Option.iter (fun node -> (node :> IDisposable).Dispose())
        far <- Some(NodeProcess.Start start)

    member _.Far = far.Value

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            ValueTask(
                task {
                    far |> Option.iter (fun node -> (node :> IDisposable).Dispose())
                    (ports :> IDisposable).Dispose()
                    do! (two :> IAsyncDisposable).DisposeAsync()
                }
            )

let private inflict (sites: ThreeSites) (draw: Random) fault =
    task {
        let site number = if number = 0 then sites.Two.Leader else sites.Two.Follower

        match fault with
        | Kill 2 ->
            let! _ = sites.Far.Kill()
            do! Task.Delay(milliseconds draw 1 300, TimeProvider.System)
            sites.StartFar()
            do! sites.Far.Ready()
        | Kill number ->
            let node = draw.Next 3
            do! (site number).Kill [ node ]
            do! Task.Delay(milliseconds draw 1 300, TimeProvider.System)
            (site number).Start node
            do! (site number).Ready()
        | Pause number ->
            let node = if number = 2 then sites.Far else (site number).Node(draw.Next 3)
            node.Pause()

            do!
                Task.Delay(
                    milliseconds draw 100 (Scale.pick 1000 10_000 / (if draw.Next 4 = 0 then 1 else 10) |> max 101),
                    TimeProvider.System
                )

            node.Resume()
        | MoveLeader number ->
            try
                let! leader = (site number).Leader()
                let! _ = (site number).Clients[leader].MoveLeader(1 + draw.Next 3)
                ()
            with :? Grpc.Core.RpcException ->
                // It cannot be moved just now.
                ()
        | CutLinks ->
            for link in sites.Two.Links do
                link.CutAtRandom(draw, 30_000)
                link.Break()

            do! Task.Delay(milliseconds draw 1 500, TimeProvider.System)

            for link in sites.Two.Links do
                link.CutAfter None
                link.Break()
        | SetClock ->
            if NodeClocks.CanBeSet then
                sites.Clocks.Jump(draw.Next sites.Clocks.Count, TimeSpan.FromSeconds(float (draw.Next(-3600, 3601))))

        do! Task.Delay(milliseconds draw 1 200, TimeProvider.System)
    }

let private hop () =
    task {
        use scratch = new Scratch()
        use sites = new ThreeSites(scratch)
        let draw = Random Seed.current
        do! sites.Two.Leader.StartAll()
        do! sites.Two.Follower.StartAll()
        sites.StartFar()
        do! sites.Far.Ready()

        if NodeClocks.CanBeSet then
            // The last one, which is the far site's: to see that it works.
            sites.Clocks.Jump(sites.Clocks.Count - 1, TimeSpan.FromHours 1.0)
            do! sites.Clocks.Shown(sites.FarRest, TimeSpan.FromHours 1.0)
        else
            printfn "left out: setting clocks needs libfaketime, which is not installed"

        let clients = [| for port in sites.Ports -> new Client(port, Launch.table) |]
        let kvs = clients |> Array.map _.Kv
        let board = Board()
        use stop = new CancellationTokenSource()
        let last = TaskCompletionSource<int64>(TaskCreationOptions.RunContinuationsAsynchronously)
        let seed number = Seed.current + number

        let calling =
            [ for number in 1..6 -> Hopping.session (seed number) $"session {number}" kvs board stop.Token :> Task
              for number in 7..8 -> Hopping.globals (seed number) kvs board stop.Token :> Task
              for number in 13..15 -> Hopping.bounded (seed number) kvs board stop.Token :> Task ]

        let watching = [ for number in 9..11 -> Hopping.watch (seed number) kvs last.Task ]
        let count = Scale.pick 50 1_000

        for number in 1..count do
            do! inflict sites draw kinds[draw.Next kinds.Length]

            match board.Wrong with
            | [] -> ()
            | wrong -> sites.Two.Leader.Fail(String.Join(Environment.NewLine, wrong))

            if number % 100 = 0 then printfn $"hopping, after {number} of {count} faults with seed {Seed.current}: {board.Text}"

        do! sites.Two.Leader.Ready()
        do! sites.Two.Follower.Ready()
        do! stop.CancelAsync()
        do! Task.WhenAll calling
        let! revision = sites.Two.Leader.Agree()
        last.SetResult revision
        let! watched = Task.WhenAll watching
        let! straight, _ = Hopping.watch (seed 12) [| kvs[0] |] last.Task
        Expect.isEmpty board.Wrong "what sessions and global reads have seen"
        Expect.isGreaterThan board.Bounds (Scale.pick 2_000 100_000) "bounds that were checked"
        Expect.isGreaterThan straight.Length (Scale.pick 200 5_000) "events"

        for had, _ in watched do
            Expect.sequenceEqual had straight "every event once, in order"

        Report.fact
            $"three sites: {count} faults; {board.Text}, none of them wrong; {straight.Length} events seen once and in order by 3 watchers that hopped {watched |> Seq.sumBy snd} times"

        for client in clients do
            (client :> IDisposable).Dispose()
    }

let tests =
    testList
        "three sites"
        [ Case.ofTask
              "clients that hop between all nodes while these are killed, stopped and cut off and their clocks are set: sessions never go back and read their writes, global reads see everything, bounds on staleness hold, watchers get every event once"
              hop ]

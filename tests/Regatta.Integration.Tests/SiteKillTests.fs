module Regatta.Integration.Tests.SiteKillTests

open System
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Testing.Nodes

let private size = { Workers = 8; KeysPerWorker = 6; MaxValueBytes = 400 }

/// What is done to the site. Nodes are chosen when it happens.
type private Fault =
    | KillLeader
    | KillFollower
    | KillTwo
    | KillAll
    | StopLeader
    | StopFollower

let private kills = [ KillLeader; KillLeader; KillFollower; KillFollower; KillTwo; KillAll ]
let private stops = [ StopLeader; StopLeader; StopFollower ]

/// Each round of all kinds in an order of its own, so that a short run has all of them, too.
let private shuffled (draw: Random) (faults: Fault list) =
    let shuffled = Array.ofList faults
    draw.Shuffle shuffled
    List.ofArray shuffled

/// The longest and how often.
type private Longest() =
    let mutable longest = TimeSpan.Zero
    let mutable count = 0

    member _.Add time =
        count <- count + 1
        longest <- max longest time

    member _.Text what =
        if count = 0 then
            ""
        else
            $", writes through every other node went on within {longest.TotalSeconds:f2} s {what} ({count} times)"

type private Faults(site: Site, load: SiteLoad, draw: Random) =
    let afterKill = Longest()
    let afterStop = Longest()
    let mutable killed = 0
    let mutable whileStarting = 0
    let mutable events = 0

    let aWhile (most: int) = Task.Delay(TimeSpan.FromMilliseconds(float (draw.Next most)), TimeProvider.System)

    let victims fault =
        task {
            let! leader = site.Leader()
            let followers = Site.All |> List.except [ leader ]

            return
                match fault with
                | KillLeader
                | StopLeader -> [ leader ]
                | KillFollower
                | StopFollower -> [ followers[draw.Next 2] ]
                | KillTwo -> Site.All |> List.except [ draw.Next 3 ]
                | KillAll -> Site.All
        }

    /// Now and then one is killed again in the middle of its start.
    let restart index =
        task {
            site.Start index

            if draw.Next 5 = 0 then
                do! aWhile 2500
                do! site.Kill [ index ]
                whileStarting <- whileStarting + 1
                site.Start index
        }

    let kill fault (nodes: int list) =
        task {
            do! site.Kill nodes
            killed <- killed + nodes.Length

            if nodes.Length = 1 then
                let! gap = load.GoesOn(Site.Except nodes.Head, $"%A{fault}")
                afterKill.Add gap

            do! aWhile 1500

            for index in nodes do
                do! restart index
        }

    /// Most stops of the leader last at least until the others write without it.
    let stop fault (node: int) =
        task {
            site.Node(node).Pause()
            let until = Task.Delay(TimeSpan.FromMilliseconds(float (draw.Next(100, Scale.pick 2_000 10_000))), TimeProvider.System)
            let goesOn = load.GoesOn(Site.Except node, $"%A{fault}")

            if fault = StopLeader && draw.Next 4 > 0 then
                let! _ = goesOn
                ()

            do! until
            // They are the first that it sees when it goes on, and perhaps it still takes itself for the leader.
            load.ReadOn(node, 16)
            site.Node(node).Resume()
            let! gap = goesOn
            afterStop.Add gap
        }

    member _.Inflict(fault: Fault) =
        task {
            events <- events + 1
            let! nodes = victims fault
            do! aWhile 300

            match fault with
            | KillLeader
            | KillFollower
            | KillTwo
            | KillAll -> do! kill fault nodes
            | StopLeader
            | StopFollower -> do! stop fault nodes.Head

            do! site.Ready()
            let! _ = load.GoesOn(Site.All, $"the site was whole again after %A{fault}")
            do! load.More 50
        }

    member _.Text =
        let kills = if killed = 0 then "" else $" ({killed} nodes killed under load and {whileStarting} during the start after it)"
        $"""{events} faults{kills}{afterKill.Text "of the kill of one node"}{afterStop.Text "of a SIGSTOP"}"""

let private survives name (kinds: Fault list) (rounds: int) =
    Case.ofTask name (fun () ->
        task {
            use scratch = new Scratch()
            use site = new Site((fun index -> scratch.Sub $"node-{index + 1}"), [])
            let draw = Random Seed.current
            do! site.StartAll()
            let load = SiteLoad(site, size, 6)
            let faults = Faults(site, load, draw)

            for round in 1..rounds do
                for fault in shuffled draw kinds do
                    do! load.Begin(draw.Next(1, 300))
                    do! faults.Inflict fault
                    do! load.Settle $"after %A{fault}"

                // The long set takes the better part of an hour.
                if round % 10 = 0 then
                    printfn $"site, after {round} of {rounds} rounds with seed {Seed.current}: {faults.Text}; {load.Text}"

            Report.fact $"site, %s{name}: {faults.Text}; {load.Text}"
        })

let tests =
    testList
        "a site of three nodes"
        [ survives "kill -9 of the leader, a follower, two and all: nothing acknowledged is lost, no read is stale" kills (Scale.pick 1 56)
          survives
              "SIGSTOP and SIGCONT of the leader and of followers: nothing acknowledged is lost, no read is stale"
              stops
              (Scale.pick 2 67) ]

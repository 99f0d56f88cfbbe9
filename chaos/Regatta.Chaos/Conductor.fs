namespace Regatta.Chaos

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks

/// Inflicts one fault after the other until it is stopped, each kind as often as any other: the kinds are a deck that is shuffled when it is used up. Several conductors share a deck. Thread-safe.
type Deck(kinds: Nemesis list, seed: int) =
    let gate = obj ()
    let draw = Random seed
    let waiting = Queue<Nemesis>()

    member _.IsEmpty = kinds.IsEmpty

    /// The next kind, and the seed of what is random about it.
    member _.Next() =
        lock gate (fun () ->
            if waiting.Count = 0 then
                for nemesis in kinds |> List.sortBy (fun _ -> draw.Next()) do
                    waiting.Enqueue nemesis

            waiting.Dequeue(), draw.Next())

module Conductor =
    let private betweenSites = [ "isolate-site"; "isolate-follower-node"; "isolate-source"; "left-behind"; "slow-follower" ]

    /// Of the report's timeline: a node's own, or one for all that concerns several.
    let private lane (stage: Stage) (nemesis: Nemesis) (target: string) =
        let begins (prefix: string) = nemesis.Name.StartsWith(prefix, StringComparison.Ordinal)

        if stage.Fleet.Hosts |> List.exists (fun host -> host.Name = target) then target
        elif begins "client-" || nemesis.Name = "isolate-clients" then "link of clients"
        elif begins "site-" || List.contains nemesis.Name betweenSites then "link between sites"
        elif nemesis.Lane = Network then "link within a site"
        elif nemesis.Lane = Nodes then "several nodes"
        else "tables, leaders, clocks"

    let private inflict (stage: Stage) (nemesis: Nemesis) (stop: CancellationToken) =
        task {
            let from = stage.Journal.Clock.Seconds
            stage.Journal.Say $"{nemesis.Name} begins"
            let! affliction = nemesis.Inflict stage

            try
                do! Task.Delay(affliction.Lasts, TimeProvider.System, stop)
            with :? OperationCanceledException ->
                ()

            let! came = affliction.Heal()
            stage.Journal.Fault(nemesis.Name, lane stage nemesis affliction.Target, from, affliction.Target, came)
        }

    /// Until it is stopped; then everything is healed.
    let play (stage: Random -> Stage) (deck: Deck) (stop: CancellationToken) : Task =
        task {
            while not (stop.IsCancellationRequested || deck.IsEmpty) do
                let nemesis, seed = deck.Next()
                let draw = Random seed

                try
                    do! inflict (stage draw) nemesis stop
                    do! Task.Delay(Nemesis.between draw 0.2 2.0, TimeProvider.System, stop)
                with
                | :? OperationCanceledException -> ()
                | e -> (stage draw).Journal.Fails $"{nemesis.Name} could not be inflicted or healed: {e}"
        }

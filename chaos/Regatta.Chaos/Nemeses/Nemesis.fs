namespace Regatta.Chaos

open System
open System.Threading.Tasks
open Regatta.Testing.Nodes

/// What faults are inflicted on. The random numbers are the fault's own.
[<NoComparison; NoEquality>]
type Stage =
    {
        Fleet: Fleet
        Journal: Journal
        Doors: Doors
        Draw: Random
        /// The table that is written to at present.
        Table: string
    }

/// A fault while it lasts.
[<NoComparison; NoEquality>]
type Affliction =
    {
        Target: string
        Lasts: TimeSpan
        /// Undoes it, as far as that is not for the nodes themselves.
        Heal: unit -> Task<Came>
    }

/// Faults of one lane come one after the other, those of different lanes at the same time.
type Lane =
    | Network
    | Nodes
    | Other

/// A kind of fault.
[<NoComparison; NoEquality>]
type Nemesis =
    {
        Name: string
        What: string
        Lane: Lane
        /// Why it cannot be inflicted here.
        Obstacle: Fleet -> string option
        Inflict: Stage -> Task<Affliction>
    }

module Nemesis =
    let always (_: Fleet) : string option = None

    let needsOwnDisks (fleet: Fleet) = if fleet.HasOwnDisks then None else Some "it needs root, loop devices and mkfs.ext4"

    let needsStrace (_: Fleet) = if Machine.isRoot && Machine.isThere "strace" then None else Some "it needs root and strace"

    let needsThree (fleet: Fleet) = if fleet.Shape.NodesPerSite >= 3 then None else Some "it needs sites of three nodes"

    let needsFollowers (fleet: Fleet) = if fleet.Shape.Sites >= 2 then None else Some "it needs a follower site"

    let between (draw: Random) (least: float) (most: float) = TimeSpan.FromSeconds(least + draw.NextDouble() * (most - least))

    let one (draw: Random) (among: 'a list) = among[draw.Next among.Length]

    /// So many of them, in a random order.
    let some (draw: Random) count (among: 'a list) = among |> List.sortBy (fun _ -> draw.Next()) |> List.truncate count

    let over (came: Came) () = Task.FromResult came

    let healedAs (came: Came) (work: unit -> Task<unit>) : unit -> Task<Came> =
        fun () ->
            task {
                do! work ()
                return came
            }

    let healed (work: unit -> Task<unit>) = healedAs (Inflicted "") work

    let inOrder (works: (unit -> Task<unit>) list) : unit -> Task<unit> =
        fun () ->
            task {
                for work in works do
                    do! work ()
            }

    /// Any site; the leader site's more often.
    let anySite (stage: Stage) = if stage.Draw.Next 5 < 3 then 0 else stage.Draw.Next stage.Fleet.Shape.Sites

    let anyHost (stage: Stage) = one stage.Draw (stage.Fleet.Site(anySite stage))

    let names (hosts: Host list) = hosts |> List.map _.Name |> String.concat ", "

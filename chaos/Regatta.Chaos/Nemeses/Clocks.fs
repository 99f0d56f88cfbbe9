/// Clocks that are set.
module Regatta.Chaos.Clocks

open System
open System.Threading.Tasks
open Regatta.Testing.Nodes

let private set (choose: Stage -> Host list) (offset: Random -> TimeSpan) (stage: Stage) =
    task {
        let hosts = choose stage

        for host in hosts do
            stage.Fleet.Clocks.Jump(host.Clock, offset stage.Draw)

        let back () =
            task {
                for host in hosts do
                    stage.Fleet.Clocks.Jump(host.Clock, TimeSpan.Zero)
            }

        return
            { Target = Nemesis.names hosts
              Lasts = Nemesis.between stage.Draw 1.0 8.0
              Heal = Nemesis.healed back }
    }

let private fault name what inflict =
    { Name = name
      What = what
      Lane = Other
      Obstacle = fun _ -> if NodeClocks.CanBeSet then None else Some "it needs faketime"
      Inflict = inflict }

let private one (stage: Stage) = [ Nemesis.anyHost stage ]

/// Not 0, which would be no jump.
let private seconds least most (draw: Random) =
    match draw.Next(least, most) with
    | 0 -> TimeSpan.FromSeconds 1.0
    | some -> TimeSpan.FromSeconds(float some)

let all =
    [ fault "clock-forward" "a node's clock jumps ahead, by up to an hour, and back" (set one (seconds 1 3600))
      fault "clock-back" "a node's clock jumps back, by up to an hour, and ahead again" (set one (seconds -3600 -1))
      fault "clock-flicker" "a node's clock jumps by seconds" (set one (seconds -5 6))
      fault "clocks-apart" "all clocks of all sites are set to different times" (set _.Fleet.Hosts (seconds -3600 3600)) ]

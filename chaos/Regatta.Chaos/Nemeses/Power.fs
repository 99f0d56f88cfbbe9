/// Disks that lose their power, and disks that are lost.
module Regatta.Chaos.Power

open System
open System.Threading.Tasks
open Regatta.Testing.Nodes

let private fault name what obstacle inflict = { Name = name; What = what; Lane = Nodes; Obstacle = obstacle; Inflict = inflict }

/// What was not synced is gone.
let private cut (hosts: Host list) =
    task {
        for host in hosts do
            // Whatever it says: it is killed at once.
            host.MayEnd ""

            match host.Storage with
            | Own disk -> disk.CutPower()
            | Shared _ -> ()

        let! _ = hosts |> List.map _.Kill() |> Task.WhenAll

        for host in hosts do
            match host.Storage with
            | Own disk -> disk.Restore()
            | Shared _ -> ()
    }

let private lose (choose: Stage -> Host list) (stage: Stage) =
    task {
        let hosts = choose stage
        do! cut hosts

        let start () =
            task {
                for host in hosts do
                    host.Start()
            }

        return
            { Target = Nemesis.names hosts
              Lasts = Nemesis.between stage.Draw 0.0 3.0
              Heal = Nemesis.healed start }
    }

/// Of a site one disk is lost at a time: the others are in use again before anything else is done to nodes.
let private wipe (stage: Stage) =
    task {
        let site = Nemesis.anySite stage
        let! _ = stage.Fleet.Site site |> List.map _.Ready() |> Task.WhenAll
        let host = Nemesis.one stage.Draw (stage.Fleet.Site site)
        do! host.Kill()
        host.Wipe()
        host.Start()
        let! isReady = host.Ready()

        return
            { Target = host.Name
              Lasts = TimeSpan.Zero
              Heal = Nemesis.over (Inflicted(if isReady then "it came back by itself" else "it did not come back")) }
    }

let private wipeSite (stage: Stage) =
    task {
        let site = Nemesis.one stage.Draw stage.Fleet.Shape.Followers
        let hosts = stage.Fleet.Site site
        let! _ = hosts |> List.map _.Kill() |> Task.WhenAll

        for host in hosts do
            host.Wipe()

        // It is another site from here on, which has promised nothing yet.
        stage.Fleet.BeginTraces site

        for host in hosts do
            host.Start()

        let! ready = hosts |> List.map _.Ready() |> Task.WhenAll

        return
            { Target = $"the {Place.siteName site} site"
              Lasts = TimeSpan.Zero
              Heal = Nemesis.over (Inflicted(if Array.forall id ready then "it was founded anew" else "it was not founded anew")) }
    }

let all =
    [ fault
          "power-loss-node"
          "a node's machine loses its power: what it had not synced is gone"
          Nemesis.needsOwnDisks
          (lose (fun stage -> [ Nemesis.anyHost stage ]))
      fault
          "power-loss-site"
          "all machines of a site lose their power at once"
          Nemesis.needsOwnDisks
          (lose (fun stage -> stage.Fleet.Site(Nemesis.anySite stage)))
      fault "power-loss-everywhere" "all machines of all sites lose their power at once" Nemesis.needsOwnDisks (lose _.Fleet.Hosts)
      fault "wiped-disk" "a node's disk is lost, and it starts with an empty one" Nemesis.needsThree wipe
      fault "wiped-site" "all disks of a follower site are lost" Nemesis.needsFollowers wipeSite ]

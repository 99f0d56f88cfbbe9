/// Processes that are killed, stopped, ended and started.
module Regatta.Chaos.Processes

open System
open System.Threading.Tasks

let private fault name what obstacle inflict = { Name = name; What = what; Lane = Nodes; Obstacle = obstacle; Inflict = inflict }

let private together (hosts: Host list) (work: Host -> Task<unit>) =
    task {
        let! _ = hosts |> List.map work |> Task.WhenAll
        ()
    }

let private startAll (hosts: Host list) () =
    task {
        for host in hosts do
            host.Start()
    }

let private kill (least: float) (most: float) (choose: Stage -> Task<Host list * Came>) (stage: Stage) =
    task {
        let! hosts, came = choose stage
        do! together hosts _.Kill()

        return
            { Target = Nemesis.names hosts
              Lasts = Nemesis.between stage.Draw least most
              Heal = Nemesis.healedAs came (startAll hosts) }
    }

let private pause (choose: Stage -> Task<Host list * Came>) (stage: Stage) =
    task {
        let! hosts, came = choose stage

        for host in hosts do
            host.Pause()

        let goOn () =
            task {
                for host in hosts do
                    host.Resume()
            }

        return
            { Target = Nemesis.names hosts
              Lasts = if stage.Draw.Next 3 = 0 then Nemesis.between stage.Draw 4.0 8.0 else Nemesis.between stage.Draw 0.1 3.0
              Heal = Nemesis.healedAs came goOn }
    }

let private chosen (hosts: Host list) = Task.FromResult(hosts, Inflicted "")
let private oneOf (stage: Stage) = chosen [ Nemesis.anyHost stage ]
let private ofSite count (stage: Stage) = chosen (Nemesis.some stage.Draw count (stage.Fleet.Site(Nemesis.anySite stage)))

let private leaderOf site (stage: Stage) =
    task {
        let! place, came = Leaders.pick stage (site stage)
        return [ stage.Fleet.Host place ], came
    }

let private terminate (stage: Stage) =
    task {
        let host = Nemesis.anyHost stage
        do! host.Terminate()

        return
            { Target = host.Name
              Lasts = Nemesis.between stage.Draw 0.0 2.0
              Heal = Nemesis.healed (startAll [ host ]) }
    }

let private rolling (stage: Stage) =
    task {
        let hosts = stage.Fleet.Site(Nemesis.anySite stage)

        for host in hosts do
            do! host.Terminate()
            let! _ = host.Ready()
            ()

        return
            { Target = Nemesis.names hosts
              Lasts = TimeSpan.Zero
              Heal = Nemesis.over (Inflicted "each was ready again before the next one ended") }
    }

let private killInTheStart (stage: Stage) =
    task {
        let host = Nemesis.anyHost stage

        for _ in 1..3 do
            do! host.Kill()
            host.Start()
            do! Task.Delay(Nemesis.between stage.Draw 0.1 2.0, TimeProvider.System)

        do! host.Kill()

        return { Target = host.Name; Lasts = TimeSpan.Zero; Heal = Nemesis.healed (startAll [ host ]) }
    }

let private leaderSite (_: Stage) = 0
let private followerSite (stage: Stage) = Nemesis.one stage.Draw stage.Fleet.Shape.Followers

let all =
    [ fault "kill-leader" "kill -9 of the table's leader in the leader site" Nemesis.always (kill 0.0 4.0 (leaderOf leaderSite))
      fault
          "kill-puller"
          "kill -9 of the table's leader in a follower site, which pulls"
          Nemesis.needsFollowers
          (kill 0.0 4.0 (leaderOf followerSite))
      fault "kill-node" "kill -9 of any node" Nemesis.always (kill 0.0 4.0 oneOf)
      fault
          "kill-majority"
          "kill -9 of a majority of a site at once"
          Nemesis.needsThree
          (kill 0.0 3.0 (fun stage -> ofSite (1 + stage.Fleet.Shape.NodesPerSite / 2) stage))
      fault
          "kill-site"
          "kill -9 of all nodes of a site at once"
          Nemesis.always
          (kill 0.0 5.0 (fun stage -> ofSite stage.Fleet.Shape.NodesPerSite stage))
      fault
          "kill-everything"
          "kill -9 of all nodes of all sites at once"
          Nemesis.always
          (kill 0.0 2.0 (fun stage -> chosen stage.Fleet.Hosts))
      fault "kill-in-the-start" "kill -9 of a node that is starting, three times" Nemesis.always killInTheStart
      fault "pause-leader" "SIGSTOP of the table's leader in the leader site" Nemesis.always (pause (leaderOf leaderSite))
      fault
          "pause-puller"
          "SIGSTOP of the table's leader in a follower site, which pulls"
          Nemesis.needsFollowers
          (pause (leaderOf followerSite))
      fault "pause-node" "SIGSTOP of any node" Nemesis.always (pause oneOf)
      fault
          "pause-majority"
          "SIGSTOP of a majority of a site at once"
          Nemesis.needsThree
          (pause (fun stage -> ofSite (1 + stage.Fleet.Shape.NodesPerSite / 2) stage))
      fault
          "pause-site"
          "SIGSTOP of all nodes of a site at once"
          Nemesis.always
          (pause (fun stage -> ofSite stage.Fleet.Shape.NodesPerSite stage))
      fault "terminate-node" "SIGTERM of a node, which must end in good order" Nemesis.always terminate
      fault "rolling-restart" "SIGTERM and start of each node of a site, one after the other" Nemesis.always rolling ]

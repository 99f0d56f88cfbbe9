/// Nodes and sites that do not reach each other.
module Regatta.Chaos.Partitions

open System.Threading.Tasks
open Regatta.Toxiproxy

/// Nothing that `from` says gets to `into`.
let private silence (stage: Stage) (from: Place) (into: Place) =
    task {
        let ways = [ { From = Node from; To = into }, Upstream; { From = Node into; To = from }, Downstream ]
        let cures = ResizeArray<unit -> Task<unit>>()

        for link, stream in ways do
            let! cure = stage.Fleet.Links.Poison(link, stream, Toxic.Timeout 0L, 1.0)
            cures.Add cure

        return List.ofSeq cures
    }

let private cut (stage: Stage) (links: Link list) =
    task {
        for link in links do
            do! stage.Fleet.Links.Cut link

        return [ for link in links -> fun () -> stage.Fleet.Links.Mend link ]
    }

let private both (one: Place) (other: Place) = [ { From = Node one; To = other }; { From = Node other; To = one } ]

let private apart (ones: Place list) (others: Place list) =
    [ for one in ones do
          for other in others do
              yield! both one other ]

let private partitionOf name what obstacle (inflict: Stage -> Task<string * Came * (unit -> Task<unit>) list>) =
    { Name = name
      What = what
      Lane = Network
      Obstacle = obstacle
      Inflict =
        fun stage ->
            task {
                let! target, came, cures = inflict stage

                return
                    { Target = target
                      Lasts = Nemesis.between stage.Draw 2.0 8.0
                      Heal = Nemesis.healedAs came (Nemesis.inOrder cures) }
            } }

let private partition name what obstacle (inflict: Stage -> Task<string * (unit -> Task<unit>) list>) =
    partitionOf name what obstacle (fun stage ->
        task {
            let! target, cures = inflict stage
            return target, Inflicted "", cures
        })

let private placesOf (stage: Stage) = stage.Fleet.Shape.Of(Nemesis.anySite stage)
let private named places = places |> List.map Place.name |> String.concat ", "

let private halves (stage: Stage) =
    task {
        let places = placesOf stage
        let fewer = Nemesis.some stage.Draw (places.Length / 2) places
        let! cures = cut stage (apart fewer (List.except fewer places))
        return $"{named fewer} apart from the others", cures
    }

/// Each is heard by the one before it only.
let private ring (stage: Stage) =
    task {
        let places = placesOf stage
        let cures = ResizeArray()

        for at in 0 .. places.Length - 1 do
            for further in 1 .. places.Length - 2 do
                let! more = silence stage places[at] places[(at + further) % places.Length]
                cures.AddRange more

        return named places, List.ofSeq cures
    }

let private oneWay (stage: Stage) =
    task {
        let places = placesOf stage
        let deaf = Nemesis.one stage.Draw places
        let cures = ResizeArray()

        for other in List.except [ deaf ] places do
            let! more = silence stage other deaf
            cures.AddRange more

        return $"{Place.name deaf} hears nobody", List.ofSeq cures
    }

/// Two halves that only one node reaches.
let private bridge (stage: Stage) =
    task {
        match Nemesis.some stage.Draw 5 (placesOf stage) with
        | middle :: rest ->
            let ones, others = List.splitAt (rest.Length / 2) rest
            let! cures = cut stage (apart ones others)
            return $"only {Place.name middle} reaches all", cures
        | [] -> return "", []
    }

let private isolate (stage: Stage) =
    task {
        let site = Nemesis.anySite stage
        let! leader, came = Leaders.pick stage site
        let! cures = cut stage (apart [ leader ] (List.except [ leader ] (stage.Fleet.Shape.Of site)))
        return $"{Place.name leader} apart from the others", came, cures
    }

/// The leader hears the others, and they do not hear it.
let private mute (stage: Stage) =
    task {
        let site = Nemesis.anySite stage
        let! leader, came = Leaders.pick stage site
        let cures = ResizeArray()

        for other in List.except [ leader ] (stage.Fleet.Shape.Of site) do
            let! more = silence stage leader other
            cures.AddRange more

        return $"nobody hears {Place.name leader}", came, List.ofSeq cures
    }

let private scattered (stage: Stage) =
    task {
        let places = placesOf stage
        let! cures = cut stage (apart places places |> List.distinct |> List.filter (fun link -> link.From <> Node link.To))
        return $"{named places}, each alone", cures
    }

let private pulls (stage: Stage) (wanted: Place -> Place -> bool) =
    stage.Fleet.Links.All
    |> List.filter (fun link ->
        match link.From with
        | Follower from -> wanted from link.To
        | _ -> false)

let private site (stage: Stage) =
    task {
        let site = Nemesis.one stage.Draw stage.Fleet.Shape.Followers
        let! cures = cut stage (pulls stage (fun from _ -> from.Site = site))
        return $"the {Place.siteName site} site apart from the leader site", cures
    }

let private puller (stage: Stage) =
    task {
        let host = Nemesis.one stage.Draw (stage.Fleet.Site(Nemesis.one stage.Draw stage.Fleet.Shape.Followers))
        let! cures = cut stage (pulls stage (fun from _ -> from = host.Place))
        return $"{host.Name} alone apart from the leader site", cures
    }

let private source (stage: Stage) =
    task {
        let host = Nemesis.one stage.Draw (stage.Fleet.Site 0)
        let! cures = cut stage (pulls stage (fun _ into -> into = host.Place))
        return $"no follower site reaches {host.Name}", cures
    }

let private clients (stage: Stage) =
    task {
        let places = stage.Fleet.Shape.Of(Nemesis.anySite stage)
        let some = Nemesis.some stage.Draw (1 + stage.Draw.Next places.Length) places
        let! cures = cut stage [ for place in some -> { From = Clients; To = place } ]
        return $"no client reaches {named some}", cures
    }

let all =
    [ partition "partition-halves" "a site in two parts, one with a majority" Nemesis.needsThree halves
      partition "partition-ring" "words of the nodes of a site get only one way round" Nemesis.needsThree ring
      partition "partition-one-way" "a node speaks to the others and hears none of them" Nemesis.needsThree oneWay
      partition "partition-bridge" "two parts of a site that only one node reaches" Nemesis.needsThree bridge
      partitionOf "isolate-leader" "the table's leader apart from its followers" Nemesis.needsThree isolate
      partitionOf "mute-leader" "the table's leader hears its followers, and they do not hear it" Nemesis.needsThree mute
      partition "partition-all" "no node of a site reaches another one" Nemesis.needsThree scattered
      partition "isolate-site" "a follower site apart from the leader site" Nemesis.needsFollowers site
      partition "isolate-follower-node" "one node of a follower site apart from the leader site" Nemesis.needsFollowers puller
      partition "isolate-source" "one node of the leader site apart from all follower sites" Nemesis.needsFollowers source
      partition "isolate-clients" "clients do not reach some nodes" Nemesis.always clients ]

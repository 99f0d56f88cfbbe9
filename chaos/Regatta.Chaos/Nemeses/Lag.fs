/// Follower sites that fall behind.
module Regatta.Chaos.Lag

open System
open System.Threading.Tasks
open Regatta.Toxiproxy

let private pulls (stage: Stage) site =
    stage.Fleet.Links.All
    |> List.filter (fun link ->
        match link.From with
        | Follower place -> place.Site = site
        | _ -> false)

/// No node of the leader site has what the follower site needs next.
let private isLeftBehind (stage: Stage) site =
    task {
        let! theirs = stage.Fleet.Shape.Of 0 |> List.map (Leaders.status stage) |> Task.WhenAll
        let! ours = stage.Fleet.Shape.Of site |> List.map (Leaders.status stage) |> Task.WhenAll
        let next = 1UL + (ours |> Seq.choose id |> Seq.map _.Revision |> Seq.fold max 0UL)
        return theirs |> Array.forall (Option.exists (fun table -> table.OldestRevision > next))
    }

let private leaveBehind (stage: Stage) =
    task {
        let site = Nemesis.one stage.Draw stage.Fleet.Shape.Followers
        let links = pulls stage site

        for link in links do
            do! stage.Fleet.Links.Cut link

        let until = stage.Journal.Clock.Seconds + 40.0
        let mutable isBehind = false

        while not isBehind && stage.Journal.Clock.Seconds < until do
            do! Task.Delay(TimeSpan.FromMilliseconds 250.0, TimeProvider.System)
            let! now = isLeftBehind stage site
            isBehind <- now

        return
            { Target = $"the {Place.siteName site} site"
              Lasts = TimeSpan.Zero
              Heal =
                fun () ->
                    task {
                        for link in links do
                            do! stage.Fleet.Links.Mend link

                        return
                            if isBehind then
                                Inflicted "it needs a whole state"
                            else
                                NotInflicted "after 40 s a node of the leader site still had the history, or did not answer"
                    } }
    }

let private slow (stage: Stage) =
    task {
        let site = Nemesis.one stage.Draw stage.Fleet.Shape.Followers
        let cures = ResizeArray()

        for link in pulls stage site do
            let! cure = stage.Fleet.Links.Poison(link, Downstream, Toxic.Bandwidth(int64 (5 + stage.Draw.Next 30)), 1.0)
            cures.Add cure

        return
            { Target = $"the {Place.siteName site} site"
              Lasts = Nemesis.between stage.Draw 4.0 10.0
              Heal = Nemesis.healed (Nemesis.inOrder (List.ofSeq cures)) }
    }

let private fault name what inflict =
    { Name = name
      What = what
      Lane = Network
      Obstacle = Nemesis.needsFollowers
      Inflict = inflict }

let all =
    [ fault "left-behind" "a follower site is apart from the leader site until the history that it needs is gone" leaveBehind
      fault "slow-follower" "a follower site gets everything over a few kilobytes a second" slow ]

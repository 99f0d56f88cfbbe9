/// Who leads, and who is told to.
module Regatta.Chaos.Leaders

open System
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Protocol.V1Ext

let private soon () = Nullable(DateTime.UtcNow.AddSeconds 1.0)

/// What a node says of the table; None: it has none, or does not answer at once.
let status (stage: Stage) (place: Place) =
    task {
        try
            let! status = Cluster.ClusterClient(stage.Doors.To place).StatusAsync(StatusRequest(), deadline = soon ()).ResponseAsync

            match status.Tables.TryGetValue stage.Table with
            | true, table -> return Some table
            | _ -> return None
        with :? RpcException ->
            return None
    }

/// The node that leads the table in a site, by what the nodes say; None if none says so at once.
let find (stage: Stage) site =
    task {
        let! answers = stage.Fleet.Shape.Of site |> List.map (status stage) |> Task.WhenAll

        return
            answers
            |> Seq.choose id
            |> Seq.sortByDescending _.RaftTerm
            |> Seq.tryHead
            |> Option.map (fun status -> { Site = site; Node = int status.Leader - 1 })
            |> Option.filter (fun place -> place.Node >= 0)
    }

/// The leader, or any node when none is known: then what is done to it is not what was meant.
let pick (stage: Stage) site =
    task {
        match! find stage site with
        | Some place -> return place, Inflicted ""
        | None -> return Nemesis.one stage.Draw (stage.Fleet.Shape.Of site), NotInflicted "nobody knew who leads; done to any node"
    }

let private move (stage: Stage) =
    task {
        let site = Nemesis.anySite stage
        let! from, _ = pick stage site
        let into = stage.Fleet.Shape.Of site |> List.except [ from ] |> Nemesis.one stage.Draw

        let! came =
            task {
                try
                    let request = MoveLeaderRequest(Table = ByteString.CopyFromUtf8 stage.Table, NodeId = uint64 (into.Node + 1))
                    let! _ = Site.SiteClient(stage.Doors.To from).MoveLeaderAsync(request, deadline = soon ()).ResponseAsync
                    return Inflicted "moved"
                with :? RpcException as e ->
                    return NotInflicted $"not moved: {e.StatusCode}"
            }

        return
            { Target = $"from {Place.name from} to {Place.name into}"
              Lasts = TimeSpan.Zero
              Heal = Nemesis.over came }
    }

let all =
    [ { Name = "move-leader"
        What = "the table's leader hands over to another node"
        Lane = Other
        Obstacle = Nemesis.needsThree
        Inflict = move } ]

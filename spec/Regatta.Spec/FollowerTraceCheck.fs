/// SiteReplication seen from outside (`SiteHistory`): whatever a node of a follower site shows is a state of the leader site's, and not an older one than before in the node's same life: what is applied is not synced, and is applied again from the log. Not when: between what a leader's node shows and the line
/// that says so others may have come far.
module Regatta.Spec.FollowerTraceCheck

open System.Collections.Generic
open Regatta.Spec.RaftTrace

type Reason =
    | ShowsWhatItsLeaderSiteHasNot
    | GoesBack

/// The first event of the follower site for which there is a reason; how many states it has shown, if there is none. A follower site that has been told to adopt another history may go back.
let check (leader: Event seq) (follower: Event seq) : Result<int, Event * Reason> =
    let had = HashSet<Shown>()
    let latest = Dictionary<struct (int64 * int64), int64>()

    for event in leader do
        match event.Act with
        | Applied(_, _, now, passed) ->
            for shown in now :: passed do
                had.Add shown |> ignore
        | _ -> ()

    let mutable count = 0

    let strange event =
        match event.Act with
        | Applied(group, _, now, _) ->
            count <- count + 1
            let place = struct (event.Node, group)

            let before =
                match latest.TryGetValue place with
                | true, revision -> revision
                | _ -> 0L

            latest[place] <- now.Revision

            if now.Revision > 0L && not (had.Contains now) then Some(event, ShowsWhatItsLeaderSiteHasNot)
            elif now.Revision < before then Some(event, GoesBack)
            else None
        | Began _ ->
            for place in List.ofSeq latest.Keys do
                if (let struct (node, _) = place in node = event.Node) then latest.Remove place |> ignore

            None
        | _ -> None

    match Seq.tryPick strange follower with
    | Some found -> Error found
    | None -> Ok count

/// Every toxic on every kind of link.
module Regatta.Chaos.Toxics

open System
open Regatta.Toxiproxy

let private kindOf (link: Link) =
    match link.From with
    | Clients -> "client"
    | Node _ -> "node"
    | Follower _ -> "site"

let private kinds =
    [ "client", "a client and a node"; "node", "two nodes of a site"; "site", "a follower site's node and a leader site's" ]

/// What each does on one direction of a link; None: the proxy is down.
let private toxics: (string * string * (Random -> Toxic option)) list =
    [ "latency",
      "everything comes up to half a second late, not always by as much",
      (fun draw -> Some(Toxic.Latency(int64 (20 + draw.Next 400), int64 (draw.Next 100))))
      "bandwidth", "few bytes get through in a second, or none", (fun draw -> Some(Toxic.Bandwidth(int64 (draw.Next 40))))
      "slow-close", "the end of a connection comes late", (fun draw -> Some(Toxic.SlowClose(int64 (100 + draw.Next 3000))))
      "timeout",
      "everything is lost, and connections are closed late or never",
      (fun draw -> Some(Toxic.Timeout(int64 (if draw.Next 2 = 0 then 0 else 200 + draw.Next 3000))))
      "reset", "connections are reset", (fun draw -> Some(Toxic.ResetPeer(int64 (draw.Next 500))))
      "slicer",
      "everything comes in small pieces with pauses between them",
      (fun draw -> Some(Toxic.Slicer(int64 (20 + draw.Next 1000), 10L, int64 (draw.Next 3000))))
      "limit",
      "connections are closed after some bytes, in the middle of whatever they carry",
      (fun draw -> Some(Toxic.LimitData(int64 (1 + draw.Next 200_000))))
      "down", "nobody gets through", (fun _ -> None) ]

let private poison (stage: Stage) (links: Link list) (draw: Random -> Toxic option) toxicity =
    task {
        let cures = ResizeArray<unit -> System.Threading.Tasks.Task<unit>>()

        for link in links do
            match draw stage.Draw with
            | None ->
                do! stage.Fleet.Links.Cut link
                cures.Add(fun () -> stage.Fleet.Links.Mend link)
            | Some toxic ->
                let stream = if stage.Draw.Next 2 = 0 then Upstream else Downstream
                let! cure = stage.Fleet.Links.Poison(link, stream, toxic, toxicity)
                cures.Add cure

        return Nemesis.healed (Nemesis.inOrder (List.ofSeq cures))
    }

let all =
    [ for kind, ends in kinds do
          for name, what, draw in toxics do
              { Name = $"{kind}-{name}"
                What = $"between {ends}: {what}"
                Lane = Network
                Obstacle =
                  fun fleet ->
                      match kind with
                      | "node" -> Nemesis.needsThree fleet
                      | "site" -> Nemesis.needsFollowers fleet
                      | _ -> None
                Inflict =
                  fun stage ->
                      task {
                          let links = stage.Fleet.Links.All |> List.filter (fun link -> kindOf link = kind)
                          let some = Nemesis.some stage.Draw (1 + stage.Draw.Next 3) links
                          let! heal = poison stage some draw (if stage.Draw.Next 3 = 0 then 0.5 else 1.0)

                          return
                              { Target = some |> List.map Link.name |> String.concat ", "
                                Lasts = Nemesis.between stage.Draw 1.0 6.0
                                Heal = heal }
                      } } ]

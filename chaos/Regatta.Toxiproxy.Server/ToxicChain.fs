namespace Regatta.Toxiproxy.Server

open System.Collections.Generic

/// The toxics of one proxy, and the links of its open connections, which follow every change at once. Safe for concurrent use.
[<Sealed>]
type internal ToxicChain(seed: int) =
    let gate = obj ()
    let links = HashSet<Link> HashIdentity.Reference
    let mutable toxics: Toxic list = []
    let mutable opened = 0

    let linksOf (toxic: Toxic) = links |> Seq.filter (fun link -> link.Direction = toxic.Direction)
    let find name = toxics |> List.tryFind (fun toxic -> toxic.Name = name)

    let remove (toxic: Toxic) =
        toxics <- toxics |> List.filter (fun other -> other.Name <> toxic.Name)

        for link in linksOf toxic do
            link.Remove toxic

    let openLink direction source destination =
        let link = Link(direction, source, destination, Seed.mix seed opened)
        opened <- opened + 1

        for toxic in toxics do
            if toxic.Direction = direction then link.Add toxic

        links.Add link |> ignore
        link

    /// Those of the upstream direction first, each direction in the order of its chain.
    member _.All =
        let upstream, downstream =
            lock gate (fun () -> toxics) |> List.partition (fun toxic -> toxic.Direction = Direction.Upstream)

        upstream @ downstream

    member _.Find name = lock gate (fun () -> find name)

    /// Puts it at the end of its direction's chain. No other has its name.
    member _.Add(toxic: Toxic) =
        lock gate (fun () ->
            toxics <- toxics @ [ toxic ]

            for link in linksOf toxic do
                link.Add toxic)

    /// The one of this name becomes this one. Its direction is the same.
    member _.Change(toxic: Toxic) =
        lock gate (fun () ->
            toxics <- toxics |> List.map (fun other -> if other.Name = toxic.Name then toxic else other)

            for link in linksOf toxic do
                link.Change toxic)

    member _.Remove(toxic: Toxic) = lock gate (fun () -> remove toxic)
    member _.Clear() = lock gate (fun () -> List.iter remove toxics)

    /// The two links of a new connection, with the toxics of this moment, and with all changes from now on.
    member _.Open(client: Peer, server: Peer) =
        lock gate (fun () -> openLink Direction.Upstream client server, openLink Direction.Downstream server client)

    member _.Forget(link: Link) = lock gate (fun () -> links.Remove link |> ignore)

namespace Regatta.Chaos

open System
open System.Collections.Generic
open System.IO
open System.Threading.Tasks
open Regatta.Testing
open Regatta.Testing.Nodes

/// How the nodes of a run are started.
type FleetOptions =
    {
        Shape: Shape
        /// A bug that a debug build has when it is told its name.
        Planted: string option
        /// So many revisions a table's history has at most, so that followers that were away need whole states.
        ChangelogRevisions: int
    }

/// Where the nodes of each site write down what they do.
type SiteTraces(root: string) =
    let founded = Dictionary<int, int>()

    let count site =
        match founded.TryGetValue site with
        | true, number -> number
        | _ -> 0

    let directory site number = Path.Combine(root, $"{Place.siteName site}-{number}")
    member _.Now site = directory site (count site)
    member _.Begin site = founded[site] <- count site + 1
    member _.All site = [ for number in 0 .. count site -> directory site number ]

/// All nodes of all sites, and the links between them and to them.
type Fleet
    private
    (
        options: FleetOptions,
        hosts: Host list,
        ports: Map<Place, Ports>,
        doors: Ports list,
        links: Links,
        clocks: NodeClocks,
        traces: SiteTraces,
        scratch: Scratch
    ) =
    static let ownDisks = Machine.isRoot && File.Exists "/dev/loop-control" && Machine.isThere "mkfs.ext4" && Machine.isThere "losetup"

    static let upstreams (shape: Shape) (ports: Map<Place, Ports>) =
        [ for place in shape.All do
              { From = Clients; To = place }, ports[place].Clients

              for other in shape.Of place.Site do
                  if other <> place then { From = Node other; To = place }, ports[place].Raft

              if place.Site = 0 then
                  for site in shape.Followers do
                      for follower in shape.Of site do
                          { From = Follower follower; To = place }, ports[place].Replication ]

    static let start (options: FleetOptions) (ports: Map<Place, Ports>) (links: Links) (place: Place) data =
        let shape = options.Shape
        let to' from other = $"127.0.0.1:{links.Port { From = from; To = other }}"

        let addresses =
            [ for other in shape.Of place.Site -> if other = place then $"127.0.0.1:{ports[place].Raft}" else to' (Node place) other ]

        let followed =
            if place.Site = 0 then
                []
            else
                [ "--replication.leader-address"
                  String.concat "," [ for other in shape.Of 0 -> "http://" + to' (Follower place) other ] ]

        let common =
            [ "--memberlist.cluster-name"
              Place.siteName place.Site
              "--changelog.max-count"
              string options.ChangelogRevisions
              "--disk.low-water-bytes"
              "64MiB"
              // Pages must have room for the largest pair, and ranges more than one page.
              "--limits.max-key-bytes"
              "1KiB"
              "--limits.max-value-bytes"
              "2KiB"
              "--limits.page-bytes"
              "4KiB" ]

        let command = if place.Site = 0 then "leader" else "follower"
        let start = Launch.node command (place.Node + 1) data ports[place] addresses (followed @ common)

        match options.Planted with
        | Some bug -> { start with Prefix = [ "env"; $"REGATTA_PLANTED_BUG={bug}" ] @ start.Prefix }
        | None -> start

    /// Makes disks, links and clocks; no node runs yet.
    static member Open(options: FleetOptions, toxiproxy: Uri, journal: Journal) =
        task {
            let shape = options.Shape
            let scratch = new Scratch()
            let traces = SiteTraces(scratch.Sub "traces")
            let clocks = NodeClocks scratch
            let ports = Map [ for place in shape.All -> place, Ports.Take() ]
            let ways = upstreams shape ports
            let doors = List.init ((ways.Length + 3) / 4) (fun _ -> Ports.Take())
            let listening = doors |> List.collect (fun block -> [ block.Base .. block.Base + 3 ]) |> List.truncate ways.Length
            let! links = Links.Open(toxiproxy, List.map2 (fun (link, port) listen -> link, listen, port) ways listening)

            let hosts =
                [ for place in shape.All do
                      let storage = if ownDisks then Own(new Ext4Disk(1024)) else Shared(new Scratch())
                      let clock = clocks.Count
                      // In a session of its own: Ctrl-C ends the run, and not the nodes under it.
                      let own (start: NodeStart) = { start with Prefix = "setsid" :: start.Prefix }
                      let start = start options ports links place (Host.Data storage) |> clocks.Give |> own
                      let traced () = { start with Arguments = start.Arguments @ [ "--raft.trace-dir"; traces.Now place.Site ] }
                      new Host(place, storage, traced, clock, journal) ]

            return new Fleet(options, hosts, ports, doors, links, clocks, traces, scratch)
        }

    member _.Shape = options.Shape
    member _.Links = links
    member _.Clocks = clocks
    member _.Hosts = hosts
    member _.Host(place: Place) = hosts |> List.find (fun host -> host.Place = place)
    member _.Site site = hosts |> List.filter (fun host -> host.Place.Site = site)
    /// Nodes have disks of their own, which can lose their power.
    member _.HasOwnDisks = ownDisks
    /// Where a node itself listens, past all links: for those who check and not for clients.
    member _.Ports(place: Place) = ports[place]
    /// Where the nodes of a site wrote down what they did: one directory for each time that it was founded.
    member _.Traces site = traces.All site

    /// A site whose disks are all lost is founded anew, and is another one.
    member _.BeginTraces site = traces.Begin site

    /// A file for something that is needed for a while.
    member _.Scratch name = scratch.Sub name

    /// Until every node takes writes; false, and a finding, if one does not. Everything that was done to them must be over.
    member _.Ready() : Task<bool> =
        task {
            for host in hosts do
                host.Resume()
                host.Start()

            let! all = hosts |> List.map _.Ready() |> Task.WhenAll
            return Array.forall id all
        }

    interface IDisposable with
        member _.Dispose() =
            for host in hosts do
                host.Resume()

            for host in hosts do
                (host :> IDisposable).Dispose()

            (links :> IDisposable).Dispose()

            for reservation in doors @ List.ofSeq ports.Values do
                (reservation :> IDisposable).Dispose()

            (scratch :> IDisposable).Dispose()

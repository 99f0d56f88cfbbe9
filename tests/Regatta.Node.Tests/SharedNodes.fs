namespace Regatta.Node.Tests

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Grpc.Core
open Regatta.Raft
open Regatta.Protocol.V1

/// Nodes that several tests share because none of them changes what another one looks at. Stopped when the run is over.
module SharedNodes =
    let private nodes = Dictionary<Setting, RunningNode * Scratch>()

    // Not the settings' short deadline: it is for the calls under test.
    let private generous () = CallOptions(deadline = Nullable(DateTime.UtcNow.AddSeconds 60.0))

    let private put (node: RunningNode) (table: string) (key: string) (value: string) =
        let request = PutRequest(Table = Bytes.text table, Key = Bytes.text key, Value = Bytes.text value)
        node.Clients.Kv.PutAsync(request, generous ()).ResponseAsync

    /// The table `t`, and for small limits `big`, which does not fit into one page nor into what a client takes unread.
    let private fill (setting: Setting) (node: RunningNode) =
        task {
            for key in [ "a"; "b"; "c" ] do
                let! _ = put node "t" key key
                ()

            if setting = SmallLimits then
                let value = String('v', 4000)
                let! _ = Task.WhenAll [ for i in 0..599 -> put node "big" $"k{i:D3}" value ]
                ()
        }

    /// Trimming is the work of a timer, which may come while it is written.
    let private trimmed (node: RunningNode) =
        task {
            let mutable oldest = 1UL

            while oldest < 3UL do
                let! status = node.Clients.Cluster.StatusAsync(StatusRequest(), generous ())
                oldest <- status.Tables["t"].OldestRevision
        }

    let private prepare (setting: Setting) (node: RunningNode) =
        task {
            if setting <> Damaged then do! fill setting node

            match setting with
            | Table behaviour -> node.Host.Set("t", behaviour)
            | Catalogue behaviour -> node.Host.Set("catalogue", behaviour)
            | ShortChangelog -> do! trimmed node
            | Dropped ->
                let table = node.Node.Served.Snapshot.Tables |> Seq.exactlyOne
                do! (node.Host :> IGroupHost).DropAsync(table.Group.GroupId, CancellationToken.None)
            | Failed -> node.Node.Served.Close "the node has failed and is stopping: the disk is gone"
            | _ -> ()
        }

    let get (setting: Setting) =
        task {
            match nodes.TryGetValue setting with
            | true, (node, _) -> return node
            | _ ->
                let scratch = new Scratch()
                let names = if setting = SmallLimits then "t,big" else "t"

                let prepareHost (host: FaultyHost) = if setting = Damaged then host.Damage("t", "the file 000001.sst is damaged")

                let! node = Nodes.startWith prepareHost scratch.Path (("tables.names", names) :: CallCatalogue.settings setting)
                nodes.Add(setting, (node, scratch))
                do! prepare setting node
                return node
        }

    let stop () =
        task {
            for node, scratch in nodes.Values do
                do! (node :> IAsyncDisposable).DisposeAsync()
                (scratch :> IDisposable).Dispose()
        }

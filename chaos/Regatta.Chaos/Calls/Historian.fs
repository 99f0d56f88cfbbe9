namespace Regatta.Chaos

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.Replication
open Regatta.Spec
open Regatta.Testing.Nodes

/// Collects what each revision of a table did from the changelogs of all nodes of the leader site, past all links: of each node all that it has. What two nodes tell of one revision must be the same.
type Historian(fleet: Fleet, table: string, journal: Journal) =
    let gate = obj ()
    let told = Dictionary<Revision, Command>()
    let stop = new CancellationTokenSource()
    let mutable reached = 0L

    let note (place: Place) (revision: Revision) command =
        lock gate (fun () ->
            match told.TryGetValue revision with
            | true, known when known <> command ->
                journal.Finds
                    $"{Place.name place} has another revision {revision} of table {table}: %A{command}, and another node %A{known}"
            | true, _ -> ()
            | _ ->
                told[revision] <- command

                while told.ContainsKey(reached + 1L) do
                    reached <- reached + 1L)

    /// From a revision on, for as long as the node talks; up to where it has come, or from where on others have to be asked.
    let follow (node: CallInvoker) place (from: Revision) (toldUpTo: Revision -> unit) =
        task {
            let request = ReplicateRequest(Table = ByteString.CopyFromUtf8 table, LeaderIndex = uint64 from, Follow = true)
            use call = Log.LogClient(node).Replicate(request, cancellationToken = stop.Token)

            while! call.ResponseStream.MoveNext stop.Token do
                match call.ResponseStream.Current.CommandsResponse with
                | null ->
                    match call.ResponseStream.Current.ErrorResponse |> Option.ofObj |> Option.map _.Error with
                    | Some ReplicateError.UseSnapshot -> toldUpTo (lock gate (fun () -> reached))
                    | _ -> ()
                | commands ->
                    for command in commands.Commands do
                        note place (int64 command.LeaderIndex) (Wire.ofLogged command.Command)
                        toldUpTo (int64 command.LeaderIndex)
        }

    let listen (place: Place) =
        task {
            use channels = Channels.to' (fleet.Ports(place).Replication)
            let mutable next = 1L

            while not stop.IsCancellationRequested do
                try
                    do! follow channels.Current.Invoker place next (fun revision -> next <- max next (revision + 1L))
                with
                | :? RpcException
                | :? IO.IOException
                | :? OperationCanceledException -> ()

                // A node that is back makes revisions at once, and forgets the first of them soon.
                if not stop.IsCancellationRequested then do! Task.Delay(TimeSpan.FromMilliseconds 50.0, TimeProvider.System)
        }

    let listening = fleet.Shape.Of 0 |> List.map listen

    /// It has all revisions up to this one.
    member _.Reached = lock gate (fun () -> reached)

    /// What each revision up to the one did, in order.
    member _.Commands(upTo: Revision) = lock gate (fun () -> [ for revision in 1L .. upTo -> revision, told[revision] ])

    interface IAsyncDisposable with
        member _.DisposeAsync() =
            task {
                do! stop.CancelAsync()
                let! _ = Task.WhenAll listening
                stop.Dispose()
            }
            |> ValueTask

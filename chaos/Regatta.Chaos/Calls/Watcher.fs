namespace Regatta.Chaos

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Spec
open Regatta.Testing.Nodes

/// What one watcher had. Of a gap, from one revision up to before another one, no node had the history any more.
type Watched = { Name: string; Had: (Revision * Event) list; Gaps: (Revision * Revision) list }

/// Watches a whole table from its first revision on, for a while at each node of any site, and must get every change once, in order.
type Watcher(name: string, seed: int, doors: Doors, table: string) =
    let gate = obj ()
    let had = List<Revision * Event>()
    let place = WatchPlace()
    /// It was away for longer than any node keeps the history, and began anew with what is kept.
    let mutable gaps: (Revision * Revision) list = []

    let note (message: WatchResponse) =
        lock gate (fun () ->
            had.AddRange(message.Events |> Seq.map Wire.ofEvent)
            place.Note message)

    let isLeftBehind (oldest: Revision) =
        lock gate (fun () ->
            if oldest > place.Next then
                gaps <- (place.Next, oldest) :: gaps
                place.BeginAt oldest)

    member _.Name = name
    /// It has all changes up to this revision.
    member _.Reached = lock gate (fun () -> place.Next - 1L)
    member _.Watched = lock gate (fun () -> { Name = name; Had = List.ofSeq had; Gaps = gaps })

    /// Until it is cancelled.
    member _.Run(stop: CancellationToken) : Task =
        task {
            let draw = Random seed

            while not stop.IsCancellationRequested do
                use ending = CancellationTokenSource.CreateLinkedTokenSource stop
                ending.CancelAfter(TimeSpan.FromMilliseconds(float (draw.Next(50, 4000))))
                let node = doors.Shape.All[draw.Next doors.Shape.All.Length]
                use call = KV.KVClient(doors.To node).Watch(cancellationToken = ending.Token)

                try
                    do! call.RequestStream.WriteAsync(WatchRequest(Create = place.Create table))
                    let mutable isOpen = true

                    while isOpen && not stop.IsCancellationRequested do
                        let! some = call.ResponseStream.MoveNext CancellationToken.None
                        isOpen <- some && isNull call.ResponseStream.Current.End

                        if isOpen then
                            note call.ResponseStream.Current
                        elif some && call.ResponseStream.Current.End.OldestRevision > 0UL then
                            isLeftBehind (int64 call.ResponseStream.Current.End.OldestRevision)
                with
                | :? RpcException
                | :? IO.IOException
                | :? Net.Http.HttpRequestException
                | :? InvalidOperationException
                | :? OperationCanceledException ->
                    // It was time to go, or the node went.
                    do! Task.Delay(TimeSpan.FromMilliseconds 20.0, TimeProvider.System)
        }

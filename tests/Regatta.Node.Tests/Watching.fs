namespace Regatta.Node.Tests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1

/// A stream of watches, as a client has it.
type Watching(kv: KV.KVClient) =
    let ending = new CancellationTokenSource()
    let call = kv.Watch(cancellationToken = ending.Token)

    /// A call that was refused already may not take it; why it was, whoever reads is told, and not whoever writes.
    member _.Send(request: WatchRequest) : Task =
        task {
            try
                do! call.RequestStream.WriteAsync request
            with :? RpcException ->
                ()
        }

    member watching.Create(create: CreateWatch) = watching.Send(WatchRequest(Create = create))

    /// The client has said all, and goes on to watch.
    member _.Complete() = call.RequestStream.CompleteAsync()

    /// The next message; fails at the stream's end.
    member _.Next() =
        task {
            let! some = call.ResponseStream.MoveNext(CancellationToken.None)
            if not some then failtest "the stream ended"
            return call.ResponseStream.Current
        }

    /// The events that come next, until there are so many.
    member watching.Events(count: int) =
        task {
            let events = ResizeArray<WatchEvent>()

            while events.Count < count do
                let! message = watching.Next()
                if not (isNull message.End) then failtest $"the watch ended: {message.End}"
                events.AddRange message.Events

            return List.ofSeq events
        }

    /// The messages that come next, up to the one that says that everything up to the revision was sent.
    member watching.Through(revision: uint64) =
        task {
            let messages = ResizeArray<WatchResponse>()
            let mutable reached = false

            while not reached do
                let! message = watching.Next()
                if not (isNull message.End) then failtest $"the watch ended: {message.End}"
                messages.Add message
                reached <- message.Header.Revision >= revision && not message.More

            return List.ofSeq messages
        }

    interface IDisposable with
        member _.Dispose() =
            ending.Cancel()
            call.Dispose()
            ending.Dispose()

module Watching =
    let all (id: int64) (table: string) (from: uint64) =
        CreateWatch(WatchId = id, Table = Bytes.text table, Key = Bytes.zero, RangeEnd = Bytes.zero, StartRevision = from)

    let ofKey (id: int64) (table: string) (key: string) (from: uint64) =
        CreateWatch(WatchId = id, Table = Bytes.text table, Key = Bytes.text key, StartRevision = from)

    /// An event in short: its revision, its key, and its value if it has one.
    let short (event: WatchEvent) =
        let kv = event.Kv
        let value = if event.Type = WatchEvent.Types.Type.Put then Some(kv.Value.ToStringUtf8()) else None
        kv.ModRevision, kv.Key.ToStringUtf8(), value

    let shorts (messages: WatchResponse list) = messages |> List.collect (fun message -> message.Events |> Seq.map short |> List.ofSeq)

/// What clients ask of a group.
module Regatta.Raft.Tests.GroupCalls

open System
open System.Text
open System.Threading
open Expecto
open Regatta.Core
open Regatta.Raft
open Regatta.Raft.Tests.Fixtures

let bytes (text: string) = ReadOnlyMemory(Encoding.UTF8.GetBytes text)

let propose (group: ITableGroup) (key: string) (value: string) =
    soonResult (group.ProposeAsync(PutCommand(bytes key, bytes value, false), CancellationToken.None).AsTask())

let put (group: ITableGroup) (key: string) (value: string) =
    task {
        let! outcome = propose group key value

        match outcome.Result with
        | null -> return failtestf "put %s: %O %s" key outcome.Failure (string outcome.Reason)
        | result -> return result.Revision
    }

let get (group: ITableGroup) (key: string) =
    let read = group.Reader.Get((bytes key).Span, true)
    if read.Found then Some(Encoding.UTF8.GetString read.Value.Span, read.Header.ModRevision) else None

/// Whether a barrier comes within half a second.
let barrierOrTimeout (group: ITableGroup) =
    task {
        use limit = new CancellationTokenSource(TimeSpan.FromSeconds 0.5)
        let! outcome = group.ReadBarrierAsync(limit.Token).AsTask()
        return outcome.Succeeded
    }

let barrier (group: ITableGroup) = soonResult (group.ReadBarrierAsync(CancellationToken.None).AsTask())

namespace Regatta.Chaos

open System
open System.Collections.Generic
open System.Threading
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Regatta.Protocol.V1
open Regatta.Spec
open Regatta.Testing.Nodes

/// Connections to all nodes by their clients' links.
type Doors(fleet: Fleet) =
    let channels = Map [ for place in fleet.Shape.All -> place, Channels.to' (fleet.Links.Port { From = Clients; To = place }) ]

    let invokers = channels |> Map.map (fun _ channel -> channel.Current.Invoker)
    member _.Shape = fleet.Shape
    member _.To place = invokers[place]

    interface IDisposable with
        member _.Dispose() =
            for channel in channels.Values do
                channel.Dispose()

/// How a call is made.
[<NoComparison; NoEquality>]
type Manner =
    {
        Kind: string
        /// The tokens that go with it; the trailer's takes the place of the first one.
        Session: SessionTokens option
        Consistency: Consistency
        /// 0: any.
        MaxStaleness: TimeSpan
        /// As pages of one view, with IterateRange.
        InPages: bool
    }

/// What a session knows: its token, as text, and the greatest revision that it has been told of with one; and another session's.
and SessionTokens() =
    member val Own = "" with get, set
    member val Seen = 0L with get, set
    member val Other: (string * Revision) option = None with get, set

module Manner =
    let plain kind =
        { Kind = kind
          Session = None
          Consistency = Consistency.Site
          MaxStaleness = TimeSpan.Zero
          InPages = false }

    let local kind = { plain kind with Consistency = Consistency.Local }

/// A client: one call at a time, of which each is recorded. Not thread-safe.
type Caller(number: int, doors: Doors, table: string, recorder: Recorder, journal: Journal) =
    static let patience = TimeSpan.FromSeconds 4.0
    let name = ByteString.CopyFromUtf8 table
    let kvs = Map [ for place in doors.Shape.All -> place, KV.KVClient(doors.To place) ]

    let headers (manner: Manner) =
        let all = Metadata()

        match manner.Session with
        | Some tokens ->
            for token in tokens.Own :: (tokens.Other |> Option.map fst |> Option.toList) do
                all.Add("regatta-session", token)
        | None -> ()

        all

    let noteToken (manner: Manner) (revision: Revision) (trailers: Metadata) =
        match manner.Session, trailers.GetValue "regatta-session" |> Option.ofObj with
        | Some tokens, Some token ->
            tokens.Own <- token
            tokens.Seen <- max tokens.Seen revision
        | _ -> ()

    let shown (manner: Manner) =
        match manner.Session with
        | Some tokens -> tokens.Other |> Option.map snd |> Option.fold max tokens.Seen
        | None -> 0L

    let staleness (trailers: Metadata) =
        trailers.GetValue "regatta-staleness-ms" |> Option.ofObj |> Option.map (fun text -> int64 text * 1000L)

    let answer (call: AsyncUnaryCall<'a>) (read: 'a -> Reply option) =
        task {
            use call = call
            let! reply = call.ResponseAsync
            return read reply, call.GetTrailers()
        }

    let ranged (kv: KV.KVClient) manner (options: CallOptions) (op: RangeOp) filter =
        task {
            let request = Wire.range name op filter
            request.Consistency <- manner.Consistency
            request.MaxStalenessMs <- uint64 manner.MaxStaleness.TotalMilliseconds

            if manner.InPages then
                use call = kv.IterateRange(request, options)
                let pages = List()

                while! call.ResponseStream.MoveNext CancellationToken.None do
                    pages.Add call.ResponseStream.Current

                return Wire.ofPages (List.ofSeq pages), call.GetTrailers()
            else
                return! answer (kv.RangeAsync(request, options)) (fun page -> Wire.ofPages [ page ])
        }

    let transact (kv: KV.KVClient) manner options txn =
        let request = Wire.txn name txn
        if Txn.isReadOnly txn then request.Consistency <- manner.Consistency
        answer (kv.TxnAsync(request, options)) (Wire.ofTxn >> Some)

    let perform (kv: KV.KVClient) manner (request: Request) =
        let options = CallOptions(headers manner, Nullable(DateTime.UtcNow + patience))

        match request with
        | Request.Write(Command.Put put) -> answer (kv.PutAsync(Wire.put name put, options)) (Wire.ofPut >> Some)
        | Request.Write(Command.Delete delete) -> answer (kv.DeleteRangeAsync(Wire.delete name delete, options)) (Wire.ofDelete >> Some)
        | Request.Write(Command.Txn txn) -> transact kv manner options txn
        | Request.Write Command.Dummy -> invalidOp "no client asks for nothing"
        | Request.Read(Query.Txn txn)
        | Request.LocalRead(Query.Txn txn) -> transact kv manner options txn
        | Request.Read(Query.Range(op, filter))
        | Request.LocalRead(Query.Range(op, filter)) -> ranged kv manner options op filter

    /// Nothing has happened, and nothing will: the status says so, or the node does in words, which are held against the table's history, too.
    let isCertain (status: Status) =
        status.StatusCode = StatusCode.InvalidArgument
        || status.StatusCode = StatusCode.NotFound
        || status.StatusCode = StatusCode.FailedPrecondition
        || status.StatusCode = StatusCode.ResourceExhausted
        || status.Detail.Contains("nothing was written", StringComparison.Ordinal)
        || status.Detail.Contains("nothing happened", StringComparison.Ordinal)

    let isChange request =
        match request with
        | Request.Write command -> Command.mutates command
        | _ -> false

    member _.Number = number

    /// The answer, if there is one.
    member _.Call(place: Place, manner: Manner, request: Request) : Task<Reply option> =
        task {
            let began = recorder.Clock.Now
            let least = shown manner

            let record outcome staleness failure =
                recorder.Add
                    { Observation =
                        { Client = number
                          Request = request
                          Began = began
                          Ended = recorder.Clock.Now
                          Outcome = outcome }
                      Kind = manner.Kind
                      Client = $"{manner.Kind} {number}"
                      Place = place
                      IsOfSession = manner.Session.IsSome
                      Staleness = staleness
                      MostStaleness =
                        if manner.MaxStaleness = TimeSpan.Zero then None else Some(int64 manner.MaxStaleness.TotalMilliseconds * 1000L)
                      LeastRevision = least
                      Failure = failure }

            try
                match! perform kvs[place] manner request with
                | Some reply, trailers ->
                    noteToken manner reply.Revision trailers
                    record (Outcome.Answered reply) (staleness trailers) ""
                    return Some reply
                | None, _ ->
                    journal.Finds $"{Place.name place} gave one range in pages of several revisions"
                    record Outcome.Refused None "pages of several revisions"
                    return None
            with :? RpcException as e ->
                noteToken manner 0L e.Trailers
                let isKnown = isCertain e.Status || not (isChange request)
                record (if isKnown then Outcome.Refused else Outcome.Unknown) None $"{e.StatusCode}: {e.Status.Detail}"
                return None
        }

/// A made-up leader site of the Go project, a follower site of ours under it, and how both are compared.
module Regatta.Node.Tests.GoSites

open System
open System.Threading.Tasks
open Expecto
open Google.Protobuf
open Microsoft.Extensions.Logging
open Regatta.Node.Tests.Followers
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Testing

type private Kind = Command.Types.CommandType

let often = [ "replication.poll-interval", "10ms"; "replication.reconcile-interval", "20ms" ]

/// A leader site with the table `t`, the way to it, and a directory for a follower.
let withLeader (body: GoLeader -> Relay -> Scratch -> Task<unit>) =
    task {
        use away = new Scratch()
        use relay = new Relay()
        use! leader = GoLeader.Start()
        relay.LeadTo(Some leader.Port)
        do! body leader relay away
    }

let using (body: GoLeader -> GoTable -> Relay -> RunningNode -> Task<unit>) =
    withLeader (fun leader relay away ->
        task {
            let table = leader.State.Add "t"
            use! follower = start away.Path relay.Address often
            do! body leader table relay follower
        })

let private pair (key: string) (value: string) = KeyValue(Key = Bytes.text key, Value = Bytes.text value)
let put (table: GoTable) key value = table.Append(Command(Type = Kind.Put, Kv = pair key value)) |> fst

/// A command of any kind, on the keys `k0` to `k9`.
let anyCommand (draw: Random) =
    let key () = Bytes.text $"k{draw.Next 10}"
    let anyPair () = KeyValue(Key = key (), Value = Bytes.text (String('v', draw.Next 20)))

    /// A later key, or all that follow.
    let rangeEnd (key: ByteString) = if draw.Next 4 = 0 then Bytes.zero else Bytes.text $"k{int (key[1] - byte '0') + draw.Next 5}z"

    let operation () : RequestOp =
        match draw.Next 4 with
        | 0 ->
            let from = key ()
            let until = if draw.Next 2 = 0 then ByteString.Empty else rangeEnd from
            RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = from, RangeEnd = until))
        | 1 -> RequestOp(RequestRange = RequestOp.Types.Range(Key = key ()))
        | _ -> RequestOp(RequestPut = RequestOp.Types.Put(Key = key (), Value = Bytes.text (String('w', draw.Next 20))))

    let condition () =
        let compare = Compare(Key = key (), Result = enum<Compare.Types.CompareResult>(draw.Next 4))
        if draw.Next 4 > 0 then compare.Value <- Bytes.text (String('v', draw.Next 20))
        if draw.Next 4 = 0 then compare.RangeEnd <- rangeEnd compare.Key
        compare

    match draw.Next 8 with
    | 0 -> Command(Type = Kind.Dummy)
    | 1 -> Command(Type = Kind.Delete, Kv = KeyValue(Key = key ()))
    | 2 ->
        let from = key ()
        Command(Type = Kind.Delete, Kv = KeyValue(Key = from), RangeEnd = rangeEnd from)
    | 3 ->
        let command = Command(Type = Kind.PutBatch)
        command.Batch.AddRange(Seq.init (draw.Next 5) (fun _ -> anyPair ()))
        command
    | 4 ->
        let command = Command(Type = Kind.DeleteBatch)
        command.Batch.AddRange(Seq.init (draw.Next 3) (fun _ -> KeyValue(Key = key ())))
        command
    | 5
    | 6 ->
        let txn = Txn()
        txn.Compare.AddRange(Seq.init (draw.Next 3) (fun _ -> condition ()))
        txn.Success.AddRange(Seq.init (draw.Next 4) (fun _ -> operation ()))
        txn.Failure.AddRange(Seq.init (draw.Next 4) (fun _ -> operation ()))
        Command(Type = Kind.Txn, Txn = txn)
    | _ -> Command(Type = Kind.Put, Kv = anyPair ())

let private content (node: RunningNode) (table: string) =
    task {
        let! reply = node.Clients.Kv.RangeAsync(RangeRequest(Table = Bytes.text table, Key = Bytes.zero, RangeEnd = Bytes.zero))
        return reply.Header.Revision, [ for pair in reply.Kvs -> Convert.ToHexString pair.Key.Span, Convert.ToHexString pair.Value.Span ]
    }

/// Writes a last key, and compares when the follower has it.
let expectEqual (table: GoTable) (follower: RunningNode) =
    task {
        let last = put table "last" "one"
        let! _ = read follower "t" "last" last
        let! revision, rows = content follower "t"
        Expect.equal revision last $"the revision (seed {Seed.current})"
        Expect.equal rows table.Rows $"the content (seed {Seed.current})"
    }

let said (node: RunningNode) (part: string) =
    node.Loggers.AtLeast LogLevel.Information |> Array.filter (fun entry -> entry.Message.Contains part) |> Array.length

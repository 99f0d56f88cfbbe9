namespace Regatta.Node.Tests

open System
open System.Threading.Tasks
open Google.Protobuf
open Grpc.Core
open Grpc.Health.V1
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Raft

/// The node that a row of the catalogue needs. Each has a table `t` that holds the keys `a` to `c`.
type Setting =
    | Plain
    /// api.default-deadline is short.
    | ShortDeadline
    /// tables.token is `secret`.
    | WithToken
    /// tables.enabled is false.
    | WithoutTables
    /// limits.max-iterations is 1 and the limits of keys, values and pages are small.
    | SmallLimits
    /// The table's group behaves so; one that hangs comes with a short api.default-deadline.
    | Table of Behaviour
    /// The catalogue's group behaves so.
    | Catalogue of Behaviour
    /// The table's files are damaged.
    | Damaged
    /// The node has met a failure that stops it.
    | Failed

/// One row: this call, made so, ends so.
[<NoEquality; NoComparison>]
type Row =
    {
        Call: string
        /// What is special about the call, for the document.
        When: string
        Code: StatusCode
        /// The whole message; `...` stands for any text.
        Message: string
        Setting: Setting
        Send: RunningNode -> Task
    }

/// Every call with every status that it can end with, and every limit. Each row is a test, and a row of docs/reference/api-errors.md.
module CallCatalogue =
    let private t = Bytes.text "t"
    let private a = Bytes.text "a"
    let private maxKey = 1024
    let private maxValue = 2 * 1024 * 1024

    let private row call setting condition code message send =
        { Call = call
          When = condition
          Code = code
          Message = message
          Setting = setting
          Send = send }

    // The calls, by name.
    let private range (request: RangeRequest) (node: RunningNode) = node.Clients.Kv.RangeAsync(request).ResponseAsync :> Task

    let private iterate (request: RangeRequest) (node: RunningNode) =
        task {
            use call = node.Clients.Kv.IterateRange request

            while! call.ResponseStream.MoveNext() do
                ()
        }
        :> Task

    let private put (request: PutRequest) (node: RunningNode) = node.Clients.Kv.PutAsync(request).ResponseAsync :> Task
    let private delete (request: DeleteRangeRequest) (node: RunningNode) = node.Clients.Kv.DeleteRangeAsync(request).ResponseAsync :> Task
    let private txn (request: TxnRequest) (node: RunningNode) = node.Clients.Kv.TxnAsync(request).ResponseAsync :> Task

    let private invalid = StatusCode.InvalidArgument
    let private tooLong = StatusCode.FailedPrecondition

    let private keyTooLong where = $"key length exceeded max allowed value: {where} has 1025 bytes, the limit is 1024"
    let private valueTooLong where = $"value length exceeded max allowed value: {where} has 2097153 bytes, the limit is 2097152"
    let private longKey = Bytes.ofLength (maxKey + 1)
    let private longValue = Bytes.ofLength (maxValue + 1)
    let private oversized = "Received message exceeds the maximum configured message size."

    /// Range and IterateRange take the same request and check it alike.
    let private reads call (send: RangeRequest -> RunningNode -> Task) =
        [ row call Plain "the key has 1,024 bytes" StatusCode.OK "" (send (RangeRequest(Table = t, Key = Bytes.ofLength maxKey)))
          row call Plain "the key does not exist" StatusCode.OK "" (send (RangeRequest(Table = t, Key = Bytes.text "none")))
          row
              call
              Plain
              "`range_end` lies before `key`: an empty range"
              StatusCode.OK
              ""
              (send (RangeRequest(Table = t, Key = Bytes.text "z", RangeEnd = a)))
          row
              call
              Plain
              "`limit` is negative (checked before anything else)"
              invalid
              "limit must be a positive number"
              (send (RangeRequest(Limit = -1L, KeysOnly = true, CountOnly = true)))
          row
              call
              Plain
              "`keys_only` and `count_only`"
              invalid
              "keys_only and count_only must not be set at the same time"
              (send (RangeRequest(KeysOnly = true, CountOnly = true)))
          row
              call
              Plain
              "a revision filter is negative"
              invalid
              "min_mod_revision, max_mod_revision, min_create_revision and max_create_revision must not be negative; 0 means no bound"
              (send (RangeRequest(Table = t, Key = a, MaxCreateRevision = -1L)))
          row
              call
              Plain
              "`consistency` is no value of the enum"
              invalid
              "consistency must be LOCAL (0), SITE (1) or GLOBAL (2)"
              (send (RangeRequest(Table = t, Key = a, Consistency = enum<Consistency> 3)))
          row
              call
              Plain
              "`min_revision` is above 2^63-1"
              invalid
              "min_revision is greater than any revision can be"
              (send (RangeRequest(Table = t, Key = a, MinRevision = UInt64.MaxValue)))
          row call Plain "no table is named (checked before the key)" invalid "table must be set" (send (RangeRequest()))
          row call Plain "no key is given" invalid "key must be set" (send (RangeRequest(Table = t)))
          row
              call
              Plain
              "there is no such table (checked before lengths)"
              StatusCode.NotFound
              "table not found"
              (send (RangeRequest(Table = Bytes.text "none", Key = longKey)))
          row call Plain "the key has 1,025 bytes" tooLong (keyTooLong "key") (send (RangeRequest(Table = t, Key = longKey)))
          row
              call
              Plain
              "`range_end` has 1,025 bytes"
              tooLong
              (keyTooLong "range_end")
              (send (RangeRequest(Table = t, Key = a, RangeEnd = longKey)))
          row
              call
              Plain
              "the request has more than 4 MiB"
              StatusCode.ResourceExhausted
              oversized
              (send (RangeRequest(Table = t, Key = Bytes.ofLength (4 * 1024 * 1024))))
          row
              call
              (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
              "linearizable, and the table's group has no leader"
              StatusCode.Unavailable
              "the group has no leader"
              (send (RangeRequest(Table = t, Key = a, Linearizable = true)))
          row
              call
              (Table(Refuses(GroupFailure.Overloaded, "too many reads wait")))
              "linearizable, and too much waits already"
              StatusCode.ResourceExhausted
              "too many reads wait"
              (send (RangeRequest(Table = t, Key = a, Linearizable = true)))
          row
              call
              (Table(Refuses(GroupFailure.Unknown, "leadership was lost")))
              "linearizable, and leadership was lost meanwhile"
              StatusCode.Unavailable
              "leadership was lost"
              (send (RangeRequest(Table = t, Key = a, Linearizable = true)))
          row
              call
              Damaged
              "the table's files are damaged"
              StatusCode.DataLoss
              "table 't' cannot be opened: the file 000001.sst is damaged"
              (send (RangeRequest(Table = t, Key = a)))
          row
              call
              Failed
              "the node has failed and is stopping"
              StatusCode.Unavailable
              "the node has failed and is stopping: the disk is gone"
              (send (RangeRequest(Table = t, Key = a))) ]

    let private deadlines =
        [ row
              "Range"
              ShortDeadline
              "`min_revision` is not reached within the deadline"
              StatusCode.Unavailable
              "this node has revision ... of the table, min_revision asks for 1000000; it did not come within the deadline"
              (range (RangeRequest(Table = t, Key = a, MinRevision = 1000000UL)))
          row
              "Range"
              (Table Hangs)
              "linearizable, and the deadline passes before the read is confirmed"
              StatusCode.DeadlineExceeded
              "the deadline passed: the read could not be confirmed to be up to date in time; a serializable read would not wait"
              (range (RangeRequest(Table = t, Key = a, Linearizable = true)))
          row
              "IterateRange"
              SmallLimits
              "more calls run than `limits.max-iterations`"
              StatusCode.ResourceExhausted
              "1 IterateRange calls are running on this node, which is its limit; try again when one has ended"
              (fun node ->
                  task {
                      // The first one stays open: its pages do not fit into what a client takes unread.
                      use first =
                          node.Clients.Kv.IterateRange(RangeRequest(Table = Bytes.text "big", Key = Bytes.zero, RangeEnd = Bytes.zero))

                      let! _ = first.ResponseStream.MoveNext()
                      do! iterate (RangeRequest(Table = t, Key = a)) node
                  }) ]

    /// What becomes of any write when its group does not take it.
    let private refusedWrites call (send: RunningNode -> Task) =
        [ row
              call
              (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
              "the table's group has no leader; nothing was written"
              StatusCode.Unavailable
              "the group has no leader"
              send
          row
              call
              (Table(Refuses(GroupFailure.Stopped, "the group is stopping")))
              "the table's group is stopping; nothing was written"
              StatusCode.Unavailable
              "the group is stopping"
              send
          row
              call
              (Table(Refuses(GroupFailure.Overloaded, "the queue is full")))
              "more writes wait than the node holds; nothing was written"
              StatusCode.ResourceExhausted
              "the queue is full"
              send
          row
              call
              (Table(Refuses(GroupFailure.DiskFull, "the disk is nearly full")))
              "free disk space is below `disk.low-water-bytes`; nothing was written"
              StatusCode.ResourceExhausted
              "the disk is nearly full"
              send
          row
              call
              (Table(Refuses(GroupFailure.Unknown, "leadership was lost")))
              "the write was proposed and its fate is unknown"
              StatusCode.Unknown
              "leadership was lost: the write was accepted and may or may not have been applied, now or later; read to find out before you repeat it"
              send
          row
              call
              (Table Hangs)
              "the deadline passes after the write was proposed"
              StatusCode.DeadlineExceeded
              "the deadline passed: the write was accepted and may or may not have been applied, now or later; read to find out before you repeat it"
              send
          row
              call
              (Table(Refuses(GroupFailure.Cancelled, "cancelled")))
              "the deadline passes before the write was proposed"
              StatusCode.DeadlineExceeded
              "the deadline passed: nothing was written, trying again is safe"
              send
          row
              call
              Damaged
              "the table's files are damaged"
              StatusCode.DataLoss
              "table 't' cannot be opened: the file 000001.sst is damaged"
              send
          row
              call
              Failed
              "the node has failed and is stopping"
              StatusCode.Unavailable
              "the node has failed and is stopping: the disk is gone"
              send ]

    let private puts =
        [ row
              "Put"
              Plain
              "the key has 1,024 bytes, the value 2 MiB"
              StatusCode.OK
              ""
              (put (PutRequest(Table = t, Key = Bytes.ofLength maxKey, Value = Bytes.ofLength maxValue)))
          row "Put" Plain "the value is empty" StatusCode.OK "" (put (PutRequest(Table = t, Key = a)))
          row "Put" Plain "no table is named (checked before the key)" invalid "table must be set" (put (PutRequest()))
          row "Put" Plain "no key is given" invalid "key must be set" (put (PutRequest(Table = t)))
          row
              "Put"
              Plain
              "there is no such table (checked before lengths)"
              StatusCode.NotFound
              "table not found"
              (put (PutRequest(Table = Bytes.text "none", Key = longKey)))
          row
              "Put"
              Plain
              "the key has 1,025 bytes"
              tooLong
              (keyTooLong "key")
              (put (PutRequest(Table = t, Key = longKey, Value = longValue)))
          row
              "Put"
              Plain
              "the value has 2 MiB and a byte"
              tooLong
              (valueTooLong "value")
              (put (PutRequest(Table = t, Key = a, Value = longValue)))
          row
              "Put"
              Plain
              "the request has more than 4 MiB"
              StatusCode.ResourceExhausted
              oversized
              (put (PutRequest(Table = t, Key = a, Value = Bytes.ofLength (4 * 1024 * 1024)))) ]
        @ refusedWrites "Put" (put (PutRequest(Table = t, Key = a)))

    let private deletes =
        [ row
              "DeleteRange"
              Plain
              "the range holds nothing"
              StatusCode.OK
              ""
              (delete (DeleteRangeRequest(Table = t, Key = Bytes.text "none")))
          row "DeleteRange" Plain "no table is named (checked before the key)" invalid "table must be set" (delete (DeleteRangeRequest()))
          row "DeleteRange" Plain "no key is given" invalid "key must be set" (delete (DeleteRangeRequest(Table = t)))
          row
              "DeleteRange"
              Plain
              "there is no such table (checked before lengths)"
              StatusCode.NotFound
              "table not found"
              (delete (DeleteRangeRequest(Table = Bytes.text "none", Key = longKey)))
          row
              "DeleteRange"
              Plain
              "the key has 1,025 bytes"
              tooLong
              (keyTooLong "key")
              (delete (DeleteRangeRequest(Table = t, Key = longKey)))
          row
              "DeleteRange"
              Plain
              "`range_end` has 1,025 bytes"
              tooLong
              (keyTooLong "range_end")
              (delete (DeleteRangeRequest(Table = t, Key = a, RangeEnd = longKey)))
          row
              "DeleteRange"
              SmallLimits
              "`prev_kv`, and the range holds more than `limits.page-bytes`; nothing was deleted"
              tooLong
              "prev_kv would return more than 8192 bytes, the limit of a reply; nothing was written: name fewer keys or leave prev_kv out"
              (delete (DeleteRangeRequest(Table = Bytes.text "big", Key = Bytes.zero, RangeEnd = Bytes.zero, PrevKv = true)))
          row
              "DeleteRange"
              SmallLimits
              "the same without `prev_kv`"
              StatusCode.OK
              ""
              (delete (DeleteRangeRequest(Table = Bytes.text "big", Key = Bytes.text "k0", RangeEnd = Bytes.text "k1"))) ]
        @ refusedWrites "DeleteRange" (delete (DeleteRangeRequest(Table = t, Key = a)))

    // A transaction of one operation in its failure branch, which is checked though it will not be taken.
    let private opPut key value = RequestOp(RequestPut = RequestOp.Types.Put(Key = key, Value = value))
    let private opDelete key rangeEnd = RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = key, RangeEnd = rangeEnd))
    let private opRange key rangeEnd = RequestOp(RequestRange = RequestOp.Types.Range(Key = key, RangeEnd = rangeEnd))

    let private operation (op: RequestOp) =
        let request = TxnRequest(Table = t)
        request.Success.Add(opPut a a)
        request.Failure.Add op
        txn request

    let private compare (condition: Compare) =
        let request = TxnRequest(Table = t)
        request.Compare.Add condition
        txn request

    let private many (count: int) =
        let request = TxnRequest(Table = t)

        for _ in 1..count do
            request.Success.Add(opRange a ByteString.Empty)

        txn request

    let private transactions =
        [ row "Txn" Plain "no compare and no operation" StatusCode.OK "" (txn (TxnRequest(Table = t)))
          row "Txn" Plain "10,000 operations" StatusCode.OK "" (many 10000)
          row "Txn" Plain "no table is named" invalid "table must be set" (txn (TxnRequest()))
          row "Txn" Plain "there is no such table" StatusCode.NotFound "table not found" (txn (TxnRequest(Table = Bytes.text "none")))
          row
              "Txn"
              Plain
              "10,001 operations in one branch"
              invalid
              "a transaction has 10001 compares or operations in one list, 10000 are allowed"
              (many 10001)
          row
              "Txn"
              Plain
              "an operation is empty"
              invalid
              "failure[0] holds no operation; it must hold request_range, request_put or request_delete_range"
              (operation (RequestOp()))
          row "Txn" Plain "a put has no key" invalid "key must be set: failure[0]" (operation (opPut ByteString.Empty a))
          row "Txn" Plain "a put's key has 1,025 bytes" tooLong (keyTooLong "failure[0].key") (operation (opPut longKey a))
          row "Txn" Plain "a put's value has 2 MiB and a byte" tooLong (valueTooLong "failure[0].value") (operation (opPut a longValue))
          row "Txn" Plain "a delete has no key" invalid "key must be set: failure[0]" (operation (opDelete ByteString.Empty a))
          row "Txn" Plain "a delete's key has 1,025 bytes" tooLong (keyTooLong "failure[0].key") (operation (opDelete longKey a))
          row
              "Txn"
              Plain
              "a delete's `range_end` has 1,025 bytes"
              tooLong
              (keyTooLong "failure[0].range_end")
              (operation (opDelete a longKey))
          row "Txn" Plain "a range has no key" invalid "key must be set: failure[0]" (operation (opRange ByteString.Empty a))
          row "Txn" Plain "a range's key has 1,025 bytes" tooLong (keyTooLong "failure[0].key") (operation (opRange longKey a))
          row
              "Txn"
              Plain
              "a range's `range_end` has 1,025 bytes"
              tooLong
              (keyTooLong "failure[0].range_end")
              (operation (opRange a longKey))
          row
              "Txn"
              Plain
              "a range's `limit` is negative"
              invalid
              "limit must be a positive number: failure[0]"
              (operation (RequestOp(RequestRange = RequestOp.Types.Range(Key = a, Limit = -1L))))
          row
              "Txn"
              Plain
              "a range has `keys_only` and `count_only`"
              invalid
              "keys_only and count_only must not be set at the same time: failure[0]"
              (operation (RequestOp(RequestRange = RequestOp.Types.Range(Key = a, KeysOnly = true, CountOnly = true))))
          row "Txn" Plain "a compare has no key" invalid "key must be set: compare[0]" (compare (Compare()))
          row "Txn" Plain "a compare's key has 1,025 bytes" tooLong (keyTooLong "compare[0].key") (compare (Compare(Key = longKey)))
          row
              "Txn"
              Plain
              "a compare's `range_end` has 1,025 bytes"
              tooLong
              (keyTooLong "compare[0].range_end")
              (compare (Compare(Key = a, RangeEnd = longKey)))
          row
              "Txn"
              Plain
              "a compare's value has 2 MiB and a byte"
              tooLong
              (valueTooLong "compare[0].value")
              (compare (Compare(Key = a, Value = longValue)))
          row
              "Txn"
              Plain
              "a compare's `result` is no value of the enum"
              invalid
              "compare[0].result has the unknown value 7; it must be EQUAL, GREATER, LESS or NOT_EQUAL"
              (compare (Compare(Key = a, Result = enum<Compare.Types.CompareResult> 7)))
          row
              "Txn"
              Plain
              "a compare's `target` is no value of the enum"
              invalid
              "compare[0].target has the unknown value 7; it must be VALUE, VERSION, CREATE or MOD"
              (compare (Compare(Key = a, Target = enum<Compare.Types.CompareTarget> 7)))
          row
              "Txn"
              Plain
              "a compare's `target` is not what its operand is"
              invalid
              "compare[0]: target and target_union must name the same property"
              (compare (Compare(Key = a, Target = Compare.Types.CompareTarget.Mod, Version = 1L)))
          row
              "Txn"
              SmallLimits
              "`prev_kv`, and what it names holds more than `limits.page-bytes`; nothing was written"
              tooLong
              "prev_kv would return more than 8192 bytes, the limit of a reply; nothing was written: name fewer keys or leave prev_kv out"
              (fun node ->
                  let request = TxnRequest(Table = Bytes.text "big")
                  let op = RequestOp.Types.DeleteRange(Key = Bytes.zero, RangeEnd = Bytes.zero, PrevKv = true)
                  request.Success.Add(RequestOp(RequestDeleteRange = op))
                  txn request node)
          row
              "Txn"
              Plain
              "the request has more than 4 MiB"
              StatusCode.ResourceExhausted
              oversized
              (operation (opPut a (Bytes.ofLength (4 * 1024 * 1024))))
          row
              "Txn"
              (Table(Refuses(GroupFailure.NoLeader, "the group has no leader")))
              "read-only, and the table's group has no leader"
              StatusCode.Unavailable
              "the group has no leader"
              (txn (TxnRequest(Table = t))) ]
        @ refusedWrites "Txn" (operation (opPut a a))

    let private bearer (token: string) =
        let headers = Metadata()
        headers.Add("authorization", token)
        headers

    let private list headers (node: RunningNode) =
        node.Clients.Tables.ListAsync(ListTablesRequest(), headers = headers).ResponseAsync :> Task

    let private create name (node: RunningNode) = node.Clients.Tables.CreateAsync(CreateTableRequest(Name = name)).ResponseAsync :> Task
    let private drop name (node: RunningNode) = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = name)).ResponseAsync :> Task

    let private nameRule =
        "table name must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', the first one a letter or a digit"

    let private tokens call (send: Metadata -> RunningNode -> Task) =
        [ row call WithToken "the token is right" StatusCode.OK "" (send (bearer "Bearer secret"))
          row
              call
              WithToken
              "`authorization` is missing, or not Bearer"
              StatusCode.Unauthenticated
              "Request unauthenticated with bearer"
              (send (Metadata()))
          row call WithToken "the token is wrong" StatusCode.Unauthenticated "Invalid token" (send (bearer "Bearer wrong"))
          row call WithoutTables "`tables.enabled` is false" StatusCode.Unimplemented "Service is unimplemented." (send (Metadata())) ]

    let private refusedCatalogue call (send: RunningNode -> Task) =
        [ row
              call
              (Catalogue(Refuses(GroupFailure.NoLeader, "the group has no leader")))
              "the catalogue's group has no leader"
              StatusCode.Unavailable
              "the group has no leader"
              send
          row
              call
              (Catalogue(Refuses(GroupFailure.Overloaded, "the queue is full")))
              "more changes wait than the node holds"
              StatusCode.ResourceExhausted
              "the queue is full"
              send
          row
              call
              Failed
              "the node has failed and is stopping"
              StatusCode.Unavailable
              "the node has failed and is stopping: the disk is gone"
              send ]

    let private tables =
        [ row "Create" Plain "a good name" StatusCode.OK "" (create "Good-name_1.x")
          row "Create" Plain "128 characters" StatusCode.OK "" (create (String('n', 128)))
          row "Create" Plain "no name is given" invalid "name must be set" (create "")
          row "Create" Plain "the name is taken" invalid "table already exists" (create "t")
          row "Create" Plain "129 characters" invalid $"{nameRule}; it has 129 characters" (create (String('n', 129)))
          row "Create" Plain "a character that is not allowed" invalid $"{nameRule}; character 2 is '/'" (create "a/b")
          row "Create" Plain "the first character is no letter or digit" invalid nameRule (create ".hidden")
          row "Delete" Plain "no name is given" invalid "name must be set" (drop "")
          row "Delete" Plain "there is no such table" invalid "table not found" (drop "none")
          row "List" Plain "any time" StatusCode.OK "" (list (Metadata())) ]
        @ tokens "Create" (fun headers node ->
            node.Clients.Tables.CreateAsync(CreateTableRequest(Name = "made"), headers = headers).ResponseAsync)
        @ tokens "Delete" (fun headers node ->
            task {
                let right = bearer "Bearer secret"

                let! _ =
                    Status.ofCall (node.Clients.Tables.CreateAsync(CreateTableRequest(Name = "unmade"), headers = right).ResponseAsync)

                let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "unmade"), headers = headers)
                ()
            })
        @ tokens "List" list
        @ refusedCatalogue "Create" (create "another")
        @ refusedCatalogue "Delete" (drop "t")
        @ refusedCatalogue "List" (list (Metadata()))

    let private health name (node: RunningNode) = node.Clients.Health.CheckAsync(HealthCheckRequest(Service = name)).ResponseAsync :> Task

    /// A unary call with any bytes as its request.
    let private raw (service: string) (method: string) (headers: Metadata) (request: byte array) (node: RunningNode) =
        let bytes = Marshallers.Create<byte array>(id, id)
        let call = Method<byte array, byte array>(MethodType.Unary, service, method, bytes, bytes)
        node.Clients.Invoker.AsyncUnaryCall(call, null, CallOptions headers, request).ResponseAsync :> Task

    let private others =
        [ row "MemberList" Plain "any time" StatusCode.OK "" (fun node ->
              node.Clients.Cluster.MemberListAsync(MemberListRequest()).ResponseAsync)
          row "Status" Plain "any time" StatusCode.OK "" (fun node -> node.Clients.Cluster.StatusAsync(StatusRequest()).ResponseAsync)
          row "Status" Damaged "a table is damaged: it is named in `errors`" StatusCode.OK "" (fun node ->
              node.Clients.Cluster.StatusAsync(StatusRequest()).ResponseAsync)
          row "Health.Check" Plain "the node, or one of its services or tables" StatusCode.OK "" (health "t")
          row
              "Health.Check"
              Plain
              "neither a table nor a service"
              StatusCode.NotFound
              "'none' is neither a table nor a service of this node"
              (health "none")
          row
              "any"
              Plain
              "the request's bytes are no such message"
              invalid
              "the request of /regatta.v1.KV/Put is not a valid message: ..."
              (raw "regatta.v1.KV" "Put" (Metadata()) [| 0x0auy; 0x7fuy; 0x01uy |])
          row
              "any"
              Plain
              "the method does not exist"
              StatusCode.Unimplemented
              "Method is unimplemented."
              (raw "regatta.v1.KV" "Nothing" (Metadata()) [||])
          row
              "any"
              Plain
              "the service does not exist"
              StatusCode.Unimplemented
              "Service is unimplemented."
              (raw "regatta.v1.Nothing" "Nothing" (Metadata()) [||]) ]

    let rows: Row list =
        reads "Range" range @ reads "IterateRange" iterate @ deadlines @ puts @ deletes @ transactions @ tables @ others

    /// The settings that a node is started with.
    let settings (setting: Setting) =
        match setting with
        | ShortDeadline
        | Table Hangs -> [ "api.default-deadline", "300ms" ]
        | WithToken -> [ "tables.token", "secret" ]
        | WithoutTables -> [ "tables.enabled", "false" ]
        | SmallLimits ->
            [ "limits.max-iterations", "1"
              "limits.max-key-bytes", "64"
              "limits.max-value-bytes", "4096"
              "limits.page-bytes", "8192" ]
        | _ -> []

module Regatta.Node.Tests.HostileInputTests

open System
open System.Threading.Tasks
open Expecto
open FsCheck
open FsCheck.FSharp
open Google.Protobuf
open Grpc.Core
open Grpc.Health.V1
open Microsoft.Extensions.Logging
open Regatta.Protocol.Mvcc
open Regatta.Protocol.V1
open Regatta.Testing

/// A unary method with bytes that may or may not be its request.
type Attack = { Service: string; Method: string; Request: byte array }

let private put key value = RequestOp(RequestPut = RequestOp.Types.Put(Key = Bytes.text key, Value = Bytes.text value, PrevKv = true))

let private txn =
    let request = TxnRequest(Table = Bytes.text "t")
    request.Compare.Add(Compare(Key = Bytes.text "a", Target = Compare.Types.CompareTarget.Mod, ModRevision = 3L, RangeEnd = Bytes.zero))
    request.Success.Add(put "a" "b")
    request.Success.Add(RequestOp(RequestRange = RequestOp.Types.Range(Key = Bytes.text "a", RangeEnd = Bytes.zero, Limit = 2L)))

    request.Failure.Add(
        RequestOp(RequestDeleteRange = RequestOp.Types.DeleteRange(Key = Bytes.text "a", RangeEnd = Bytes.text "c", PrevKv = true))
    )

    request

let private good: (string * string * IMessage) list =
    let t = Bytes.text "t"
    let a = Bytes.text "a"

    [ "regatta.v1.KV",
      "Range",
      RangeRequest(Table = t, Key = a, RangeEnd = Bytes.zero, Limit = 5L, MinModRevision = 1L, Linearizable = true)
      "regatta.v1.KV", "Put", PutRequest(Table = t, Key = a, Value = a, PrevKv = true)
      "regatta.v1.KV", "DeleteRange", DeleteRangeRequest(Table = t, Key = a, RangeEnd = Bytes.text "b", PrevKv = true, Count = true)
      "regatta.v1.KV", "Txn", txn
      "regatta.v1.Tables", "Create", CreateTableRequest(Name = "made")
      "regatta.v1.Tables", "Delete", DeleteTableRequest(Name = "made")
      "regatta.v1.Tables", "List", ListTablesRequest()
      "regatta.v1.Cluster", "Status", StatusRequest(Config = true)
      "regatta.v1.Cluster", "MemberList", MemberListRequest()
      "grpc.health.v1.Health", "Check", HealthCheckRequest(Service = "t") ]

/// A good request with some bytes changed, cut off or repeated; now and then plain noise.
let private attack =
    gen {
        let! service, method, message = Gen.elements good
        let bytes = message.ToByteArray()
        let! noise = Gen.choose (0, 255) |> Gen.map byte |> Gen.arrayOf
        let! cut = Gen.choose (0, bytes.Length)

        let! changes = Gen.zip (Gen.choose (0, max 0 (bytes.Length - 1))) (Gen.choose (0, 255)) |> Gen.listOfLength 3

        let changed (count: int) =
            let copy = Array.copy bytes

            for at, value in List.truncate count changes do
                if at < copy.Length then copy[at] <- byte value

            copy

        let! request =
            Gen.frequency
                [ 6, Gen.choose (1, 3) |> Gen.map changed
                  2, Gen.constant bytes[.. cut - 1]
                  1, Gen.constant (Array.append bytes noise)
                  1, Gen.constant noise ]

        return { Service = service; Method = method; Request = request }
    }

let private send (node: RunningNode) (attack: Attack) =
    let bytes = Marshallers.Create<byte array>(id, id)
    let call = Method<byte array, byte array>(MethodType.Unary, attack.Service, attack.Method, bytes, bytes)
    // A wait that is asked for (min_revision) must end, and soon.
    let options = CallOptions(deadline = Nullable(DateTime.UtcNow.AddSeconds 30.0))
    Status.ofCall (node.Clients.Invoker.AsyncUnaryCall(call, null, options, attack.Request).ResponseAsync)

let private allowed =
    [ StatusCode.OK
      StatusCode.InvalidArgument
      StatusCode.NotFound
      StatusCode.FailedPrecondition
      StatusCode.ResourceExhausted
      StatusCode.Unavailable ]

let private tables (node: RunningNode) =
    task {
        let! reply = node.Clients.Tables.ListAsync(ListTablesRequest())
        return [ for table in reply.Tables -> table.Name ]
    }

/// Has more time than what is hostile.
let private keep (node: RunningNode) =
    let request = PutRequest(Table = Bytes.text "t", Key = Bytes.text "kept", Value = Bytes.text "value")
    node.Clients.Kv.PutAsync(request, deadline = Nullable(DateTime.UtcNow + Nodes.patience)).ResponseAsync

let tests =
    testList
        "hostile input"
        [ testCase "whatever bytes a client sends, it gets a sentence, and the node goes on" (fun () ->
              Nodes.using [ "tables.names", "t"; "api.default-deadline", "1s" ] (fun node ->
                  task {
                      let! _ = keep node

                      do!
                          Task.Run(fun () ->
                              Property.check "attacks" (Scale.pick 2000 50000) attack (fun _ -> Seq.empty) (fun attack ->
                                  let status = (send node attack).GetAwaiter().GetResult()

                                  Expect.contains
                                      allowed
                                      status.StatusCode
                                      $"the status of a client's mistake; the message is \"{status.Detail}\""

                                  if status.StatusCode <> StatusCode.OK then Expect.isNotEmpty status.Detail "a sentence"))

                      Expect.isEmpty (node.Loggers.AtLeast LogLevel.Error) "none of it is the node's fault"
                      let! names = tables node
                      Expect.contains names "t" "the table is still there"
                      let! _ = keep node
                      ()
                  })
              |> fun run -> run.GetAwaiter().GetResult()) ]

/// What a node says of itself, and calls that it does not know.
module Regatta.Node.Tests.NodeCalls

open System.Threading.Tasks
open Grpc.Core
open Grpc.Health.V1
open Regatta.Protocol.V1
open Regatta.Node.Tests.CallRow

let private health name (node: RunningNode) = node.Clients.Health.CheckAsync(HealthCheckRequest(Service = name)).ResponseAsync :> Task

/// A unary call with any bytes as its request.
let private raw (service: string) (method: string) (headers: Metadata) (request: byte array) (node: RunningNode) =
    let bytes = Marshallers.Create<byte array>(id, id)
    let call = Method<byte array, byte array>(MethodType.Unary, service, method, bytes, bytes)
    node.Clients.Invoker.AsyncUnaryCall(call, null, CallOptions headers, request).ResponseAsync :> Task

let rows: Row list =
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

module Regatta.Node.Tests.HealthTests

open Expecto
open Grpc.Core
open Grpc.Health.V1
open Regatta.Protocol.V1
open Regatta.Raft

let private serving = HealthCheckResponse.Types.ServingStatus.Serving
let private notServing = HealthCheckResponse.Types.ServingStatus.NotServing
let private unknown = HealthCheckResponse.Types.ServingStatus.ServiceUnknown

let private check (node: RunningNode) (name: string) =
    task {
        let! reply = node.Clients.Health.CheckAsync(HealthCheckRequest(Service = name))
        return reply.Status
    }

let private next (call: AsyncServerStreamingCall<HealthCheckResponse>) =
    task {
        let! moved = call.ResponseStream.MoveNext(System.Threading.CancellationToken.None)
        return if moved then Some call.ResponseStream.Current.Status else None
    }

let tests =
    testList
        "health"
        [ Nodes.test "each table has a health of its own, and the node is healthy when all are" (fun () ->
              Nodes.using [ "tables.names", "a,b" ] (fun node ->
                  task {
                      for name in [ ""; "a"; "b"; "regatta.v1.KV"; "regatta.v1ext.Site" ] do
                          let! status = check node name
                          Expect.equal status serving name

                      node.Host.Set("b", Refuses(GroupFailure.NoLeader, "no leader"))

                      for name, expected in [ "", notServing; "a", serving; "b", notServing; "regatta.v1.KV", notServing ] do
                          let! status = check node name
                          Expect.equal status expected name
                  }))

          Nodes.test "Watch tells the state at once and each change of it, also of a table that does not exist yet" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      use call = node.Clients.Health.Watch(HealthCheckRequest(Service = "t"))
                      let! first = next call
                      Expect.equal first (Some unknown) "no such table"
                      let! _ = node.Create "t"
                      let! second = next call
                      Expect.equal second (Some serving) "created"
                      node.Host.Set("t", Refuses(GroupFailure.NoLeader, "no leader"))
                      let! third = next call
                      Expect.equal third (Some notServing) "without leader"
                      let! _ = node.Clients.Tables.DeleteAsync(DeleteTableRequest(Name = "t"))
                      let! fourth = next call
                      Expect.equal fourth (Some unknown) "deleted"
                  }))

          Nodes.test "a watcher does not keep the node from stopping" (fun () ->
              Nodes.using [] (fun node ->
                  task {
                      use call = node.Clients.Health.Watch(HealthCheckRequest())
                      let! first = next call
                      Expect.equal first (Some serving) "ready"
                      do! node.Node.StopAsync()
                      let! exit = node.Node.Stopped
                      Expect.equal exit.Code 0 "stopped in order"
                  })) ]

module Regatta.Toxiproxy.Tests.PlainTests

open System.Net
open System.Net.Sockets
open System.Threading.Tasks
open Expecto
open Regatta.Testing
open Regatta.Toxiproxy

let private closes (socket: Socket) what =
    task {
        let! bytes, ending = Wire.rest socket
        Expect.isEmpty bytes what
        Expect.equal ending Wire.Closed what
    }

let tests =
    testList
        "without toxics"
        [ Line.test "bytes arrive whole and in order, both ways at once" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let there = Wire.bytes Seed.current 3_000_000
                  let back = Wire.bytes (Seed.current + 1) 2_000_000
                  let sending = Task.WhenAll [| Wire.send ends.Client there; Wire.send ends.Server back |]
                  let receiving = Task.WhenAll [| Wire.exactly ends.Server there.Length; Wire.exactly ends.Client back.Length |]
                  let! _ = sending
                  let! received = receiving
                  Expect.isTrue (received[0] = there) "upstream"
                  Expect.isTrue (received[1] = back) "downstream"
              })

          Line.test "many connections keep their bytes apart" (fun line ->
              task {
                  let one seed =
                      task {
                          use! client = Wire.connect line.Address
                          let bytes = Wire.bytes seed 5_000
                          do! Wire.send client bytes
                          let! back = Wire.exactly client bytes.Length
                          Expect.isTrue (back = bytes) $"connection {seed}"
                      }

                  let echo (ends: Socket) =
                      task {
                          let! bytes = Wire.exactly ends 5_000
                          do! Wire.send ends bytes
                      }

                  let clients = [| for seed in 1..50 -> one seed |]

                  for _ in 1..50 do
                      use! server = line.AcceptAsync()
                      do! echo server

                  let! _ = Task.WhenAll clients
                  ()
              })

          Line.test "what was sent before the end arrives, and then the end, when the client closes" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 500_000
                  do! Wire.send ends.Client bytes
                  ends.Client.Dispose()
                  let! arrived, ending = Wire.rest ends.Server
                  Expect.isTrue (arrived = bytes) "bytes"
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.test "what was sent before the end arrives, and then the end, when the server closes" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let bytes = Wire.bytes Seed.current 500_000
                  do! Wire.send ends.Server bytes
                  ends.Server.Dispose()
                  let! arrived, ending = Wire.rest ends.Client
                  Expect.isTrue (arrived = bytes) "bytes"
                  Expect.equal ending Wire.Closed "ending"
              })

          Line.test "a side that ends its stream ends the connection for both" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  ends.Client.Shutdown SocketShutdown.Send
                  do! closes ends.Server "the server"
                  do! closes ends.Client "the client"
              })

          Line.test "a server that cannot be reached is a connection that is closed" (fun line ->
              task {
                  line.StopServer()
                  use! client = Wire.connect line.Address
                  do! closes client "the client"
              })

          Line.test "disabling closes the listener and all connections" (fun line ->
              task {
                  use! first = line.ConnectAsync()
                  use! second = line.ConnectAsync()
                  do! line.ChangeAsync ProxyChange.disable

                  for ends in [ first; second ] do
                      do! closes ends.Client "client"
                      do! closes ends.Server "server"

                  let! refused =
                      task {
                          try
                              use! _ = Wire.connect line.Address
                              return false
                          with :? SocketException as e ->
                              return e.SocketErrorCode = SocketError.ConnectionRefused
                      }

                  Expect.isTrue refused "refused"
                  do! line.ChangeAsync ProxyChange.enable
                  use! third = line.ConnectAsync()
                  do! Wire.send third.Client [| 1uy |]
                  let! bytes = Wire.exactly third.Server 1
                  Expect.equal bytes [| 1uy |] "enabled again"
              })

          Line.test "disabling ends a connection whose client does not read" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let sending = Wire.sendUntilBroken ends.Server (Array.zeroCreate 100_000)
                  do! line.ChangeAsync ProxyChange.disable
                  do! sending
              })

          Line.test "deleting a proxy closes its connections" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  do! Subject.ok (line.Client.DeleteProxyAsync(Line.Name, Deadline.token ()))
                  do! closes ends.Client "client"
                  do! closes ends.Server "server"
              })

          Line.test "a new upstream closes the connections, and new ones lead there" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  use other = new TcpListener(IPAddress.Loopback, 0)
                  other.Start()
                  do! line.ChangeAsync { ProxyChange.none with Upstream = Some(string other.LocalEndpoint) }
                  do! closes ends.Client "client"
                  do! closes ends.Server "server"
                  use! client = Wire.connect line.Address
                  use! server = other.AcceptSocketAsync(Deadline.token ())
                  do! Wire.send client [| 7uy |]
                  let! bytes = Wire.exactly server 1
                  Expect.equal bytes [| 7uy |] "the other server"
              })

          Line.test "populating with the same addresses leaves the connections, with others it closes them" (fun line ->
              task {
                  use! ends = line.ConnectAsync()
                  let! proxy = Subject.ok (line.Client.ProxyAsync(Line.Name, Deadline.token ()))
                  let same: NewProxy = { Name = proxy.Name; Listen = proxy.Listen; Upstream = proxy.Upstream; Enabled = true }
                  let! _ = Subject.ok (line.Client.PopulateAsync([ same ], Deadline.token ()))
                  do! Wire.send ends.Client [| 1uy |]
                  let! bytes = Wire.exactly ends.Server 1
                  Expect.equal bytes [| 1uy |] "it is still there"
                  let! _ = Subject.ok (line.Client.PopulateAsync([ { same with Upstream = "127.0.0.1:9" } ], Deadline.token ()))
                  do! closes ends.Client "client"
                  do! closes ends.Server "server"
              }) ]

module Regatta.Toxiproxy.Tests.DisposalTests

open System
open System.Net
open System.Net.Http
open System.Net.Sockets
open System.Threading
open Expecto
open Regatta.Toxiproxy

let private ages = 3_600_000L

let private refuses (address: string) =
    task {
        try
            use! _ = Wire.connect address
            return false
        with :? SocketException as e ->
            return e.SocketErrorCode = SocketError.ConnectionRefused
    }

let tests =
    testList
        "the server's end"
        [ testCaseTask "closes the API, the listeners and all connections, also those that toxics hold" (fun () ->
              task {
                  let! server = ToxiproxyServer.StartAsync(None, Deadline.token ())
                  use listener = new TcpListener(IPAddress.Loopback, 0)
                  listener.Start()
                  use http = new HttpClient()
                  let client = ToxiproxyClient(http, server.Url)

                  let proxy =
                      { Name = "p"
                        Listen = "127.0.0.1:0"
                        Upstream = string listener.LocalEndpoint
                        Enabled = true }

                  let! proxy = Subject.ok (client.CreateProxyAsync(proxy, Deadline.token ()))
                  use! plain = Wire.connect proxy.Listen
                  use! plainServer = listener.AcceptSocketAsync(Deadline.token ())

                  for toxic in [ Toxic.Latency(ages, 0L); Toxic.Slicer(1L, 0L, ages); Toxic.SlowClose ages ] do
                      let! _ = Subject.ok (client.AddToxicAsync("p", NewToxic.on Upstream toxic, Deadline.token ()))
                      ()

                  use! held = Wire.connect proxy.Listen
                  use! heldServer = listener.AcceptSocketAsync(Deadline.token ())
                  do! Wire.send held [| 1uy |]
                  do! Wire.send plain [| 1uy |]
                  do! (server :> IAsyncDisposable).DisposeAsync()

                  for socket in [ plain; plainServer; held; heldServer ] do
                      let! bytes, _ = Wire.rest socket
                      Expect.isEmpty bytes "bytes"

                  let! proxyGone = refuses proxy.Listen
                  Expect.isTrue proxyGone "the proxy"
                  let! apiGone = refuses server.Url.Authority
                  Expect.isTrue apiGone "the API"
              })

          testCaseTask "lets the next one start, many times over" (fun () ->
              task {
                  for _ in 1..20 do
                      do!
                          Subject.using 1 (fun subject ->
                              Line.on subject (fun line ->
                                  task {
                                      use! ends = line.ConnectAsync()
                                      do! Wire.send ends.Client [| 1uy |]
                                      let! _ = Wire.exactly ends.Server 1
                                      ()
                                  }))
              })

          testCaseTask "two servers do not know each other's proxies" (fun () ->
              Subject.using 1 (fun one ->
                  Subject.using 2 (fun two ->
                      task {
                          let! _ = one.SendAsync("POST", "/proxies", ProxyApiTests.down)
                          let! reply = two.SendAsync("GET", "/proxies/p")
                          Raw.refusal reply 404 "proxy not found"
                      })))

          testCaseTask "a start that is cancelled starts nothing" (fun () ->
              task {
                  use cancelled = new CancellationTokenSource()
                  do! cancelled.CancelAsync()
                  let mutable ended = false

                  try
                      let! _ = ToxiproxyServer.StartAsync(None, cancelled.Token)
                      ()
                  with :? OperationCanceledException ->
                      ended <- true

                  Expect.isTrue ended "cancelled"
              }) ]

module Regatta.Toxiproxy.Tests.ClientTests

open System
open System.Net.Http
open System.Net
open System.Net.Sockets
open System.Threading
open Expecto
open Regatta.Toxiproxy

let private token () = Deadline.token ()

let private plain: NewProxy = { Name = "p"; Listen = "127.0.0.1:0"; Upstream = "127.0.0.1:9"; Enabled = false }

let private kinds =
    [ Toxic.Latency(1L, 2L)
      Toxic.Bandwidth 3L
      Toxic.SlowClose 4L
      Toxic.Timeout 5L
      Toxic.ResetPeer 6L
      Toxic.Slicer(7L, 8L, 9L)
      Toxic.LimitData Int64.MaxValue
      Toxic.Noop ]


let private expect status message (error: ToxiproxyError) = Expect.equal error { Status = status; Message = message } "error"

let tests =
    testList
        "client"
        [ Subject.test "makes, shows, lists, changes and deletes proxies" (fun subject ->
              task {
                  let client = subject.Client
                  let! made = Subject.ok (client.CreateProxyAsync(plain, token ()))

                  let expected: Proxy =
                      { Name = "p"
                        Listen = plain.Listen
                        Upstream = plain.Upstream
                        Enabled = false
                        Toxics = [] }

                  Expect.equal made expected "made"
                  let! shown = Subject.ok (client.ProxyAsync("p", token ()))
                  Expect.equal shown expected "shown"
                  let! listed = Subject.ok (client.ProxiesAsync(token ()))
                  Expect.equal listed (Map [ "p", expected ]) "listed"
                  let! enabled = Subject.ok (client.UpdateProxyAsync("p", ProxyChange.enable, token ()))
                  Expect.isTrue enabled.Enabled "enabled"
                  let! disabled = Subject.ok (client.UpdateProxyAsync("p", ProxyChange.disable, token ()))
                  Expect.equal disabled { enabled with Enabled = false } "disabled"
                  let moved = { ProxyChange.none with Listen = Some "127.0.0.1:0"; Upstream = Some "127.0.0.1:10" }
                  let! changed = Subject.ok (client.UpdateProxyAsync("p", moved, token ()))
                  Expect.equal changed { expected with Upstream = "127.0.0.1:10" } "changed"
                  do! Subject.ok (client.DeleteProxyAsync("p", token ()))
                  let! none = Subject.ok (client.ProxiesAsync(token ()))
                  Expect.isEmpty none "deleted"
              })

          Subject.test "adds, shows, lists, changes and removes every kind of toxic, in both streams" (fun subject ->
              task {
                  let client = subject.Client
                  let! _ = Subject.ok (client.CreateProxyAsync(plain, token ()))

                  for stream in [ Upstream; Downstream ] do
                      for toxic in kinds do
                          let wanted = { Name = Some "t x"; Toxic = toxic; Stream = stream; Toxicity = 0.3f }
                          let! added = Subject.ok (client.AddToxicAsync("p", wanted, token ()))
                          let expected: ProxyToxic = { Name = "t x"; Toxic = toxic; Stream = stream; Toxicity = 0.3f }
                          Expect.equal added expected "added"
                          let! shown = Subject.ok (client.ToxicAsync("p", "t x", token ()))
                          Expect.equal shown expected "shown"
                          let! listed = Subject.ok (client.ToxicsAsync("p", token ()))
                          Expect.equal listed [ expected ] "listed"
                          let! proxy = Subject.ok (client.ProxyAsync("p", token ()))
                          Expect.equal proxy.Toxics [ expected ] "in the proxy"
                          do! Subject.ok (client.RemoveToxicAsync("p", "t x", token ()))
              })

          Subject.test "updates attributes and toxicity" (fun subject ->
              task {
                  let client = subject.Client
                  let! _ = Subject.ok (client.CreateProxyAsync(plain, token ()))
                  let! added = Subject.ok (client.AddToxicAsync("p", NewToxic.on Upstream (Toxic.Latency(1L, 2L)), token ()))
                  Expect.equal added.Name "latency_upstream" "name"
                  let! updated = Subject.ok (client.UpdateToxicAsync("p", added.Name, Toxic.Latency(3L, 4L), 0.5f, token ()))
                  Expect.equal updated { added with Toxic = Toxic.Latency(3L, 4L); Toxicity = 0.5f } "updated"
              })

          Subject.test "populates and resets" (fun subject ->
              task {
                  let client = subject.Client
                  let! nothing = Subject.ok (client.PopulateAsync([], token ()))
                  Expect.isEmpty nothing "nothing"
                  let! made = Subject.ok (client.PopulateAsync([ plain; { plain with Name = "q" } ], token ()))
                  Expect.equal (made |> List.map _.Name) [ "p"; "q" ] "made"
                  let! _ = Subject.ok (client.AddToxicAsync("p", NewToxic.on Upstream Toxic.Noop, token ()))
                  do! Subject.ok (client.ResetAsync(token ()))
                  let! proxies = Subject.ok (client.ProxiesAsync(token ()))
                  Expect.all proxies.Values _.Enabled "enabled"
                  Expect.all proxies.Values _.Toxics.IsEmpty "without toxics"
              })

          Subject.test "tells the version" (fun subject ->
              task {
                  let! version = Subject.ok (subject.Client.VersionAsync(token ()))
                  Expect.isNotEmpty version "version"
              })

          Subject.test "gives what the server refuses as an error" (fun subject ->
              task {
                  let client = subject.Client
                  let! error = Subject.refused (client.ProxyAsync("none", token ()))
                  expect 404 "proxy not found" error
                  let! error = Subject.refused (client.CreateProxyAsync({ plain with Name = "" }, token ()))
                  expect 400 "missing required field: name" error
                  let! _ = Subject.ok (client.CreateProxyAsync(plain, token ()))
                  let! error = Subject.refused (client.CreateProxyAsync(plain, token ()))
                  expect 409 "proxy already exists" error
                  let! error = Subject.refused (client.ToxicAsync("p", "none", token ()))
                  expect 404 "toxic not found" error
                  let! error = Subject.refused (client.DeleteProxyAsync("none", token ()))
                  expect 404 "proxy not found" error
                  let! error = Subject.refused (client.PopulateAsync([ { plain with Upstream = "" } ], token ()))
                  expect 400 "missing required field: upstream at proxy 1" error
                  use taken = new TcpListener(IPAddress.Loopback, 0)
                  taken.Start()
                  let change = { ProxyChange.enable with Listen = Some(string taken.LocalEndpoint) }
                  let! error = Subject.refused (client.UpdateProxyAsync("p", change, token ()))
                  Expect.equal error.Status 500 "status"
              })

          Subject.test "gives an error that is not JSON as its text" (fun subject ->
              task {
                  // An encoded slash is a slash to the server, and there is no such path.
                  let! error = Subject.refused (subject.Client.ProxyAsync("a/b/c", token ()))
                  expect 404 "404 page not found" error
              })

          Subject.test "ends a call that is cancelled" (fun subject ->
              task {
                  use cancelled = new CancellationTokenSource()
                  do! cancelled.CancelAsync()
                  let mutable ended = false

                  try
                      let! _ = subject.Client.ProxiesAsync cancelled.Token
                      ()
                  with :? OperationCanceledException ->
                      ended <- true

                  Expect.isTrue ended "cancelled"
              })

          testCaseTask "throws when there is no server" (fun () ->
              task {
                  use listener = new TcpListener(IPAddress.Loopback, 0)
                  listener.Start()
                  let url = Uri $"http://{listener.LocalEndpoint}"
                  listener.Stop()
                  use http = new HttpClient()
                  let mutable thrown = false

                  try
                      let! _ = ToxiproxyClient(http, url).VersionAsync(token ())
                      ()
                  with :? HttpRequestException ->
                      thrown <- true

                  Expect.isTrue thrown "thrown"
              }) ]

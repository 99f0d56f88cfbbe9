module Regatta.Toxiproxy.Tests.ProxyApiTests

open System.Net
open System.Net.Sockets
open Expecto

/// A proxy that nobody listens for.
let down = """{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false}"""

let private downAsReplied = """{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false,"toxics":[]}"""

/// The replies' fields that are promised; a server may have more.
let private check (node: System.Text.Json.Nodes.JsonNode) (expected: string) what =
    let copy = node.DeepClone().AsObject()
    copy.Remove "Logger" |> ignore
    Raw.same copy expected what

let tests =
    testList
        "proxies"
        [ Subject.test "there is none at first" (fun subject ->
              task {
                  let! reply = subject.SendAsync("GET", "/proxies")
                  Raw.isJson reply 200
                  Raw.same (Raw.json reply) "{}" "proxies"
              })

          Subject.test "one that is made is replied with 201, shown, and listed by its name" (fun subject ->
              task {
                  let! made = subject.SendAsync("POST", "/proxies", down)
                  Raw.isJson made 201
                  check (Raw.json made) downAsReplied "made"
                  let! shown = subject.SendAsync("GET", "/proxies/p")
                  Raw.isJson shown 200
                  check (Raw.json shown) downAsReplied "shown"
                  let! listed = subject.SendAsync("GET", "/proxies")

                  match Raw.json(listed)["p"] with
                  | null -> failtest "it is not listed"
                  | node -> check node downAsReplied "listed"
              })

          Subject.test "one is enabled unless told otherwise, and port 0 is resolved" (fun subject ->
              task {
                  let! made = subject.SendAsync("POST", "/proxies", """{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}""")
                  Raw.isJson made 201
                  let node = Raw.json made
                  Expect.equal (string node["enabled"]) "true" "enabled"
                  let listen = IPEndPoint.Parse(string node["listen"])
                  Expect.equal listen.Address IPAddress.Loopback "host"
                  Expect.notEqual listen.Port 0 "port"
                  use! socket = Wire.connect (string node["listen"])
                  Expect.isTrue socket.Connected "somebody listens"
              })

          Subject.test "a host name is resolved, too" (fun subject ->
              task {
                  let! made = subject.SendAsync("POST", "/proxies", """{"name":"p","listen":"localhost:0","upstream":"127.0.0.1:9"}""")
                  Raw.isJson made 201
                  Expect.stringStarts (Raw.json(made)["listen"] |> string) "127.0.0.1:" "listen"
              })

          Subject.testOwn "no host is loopback" (fun subject ->
              task {
                  for name, listen in [ "a", "\"\""; "b", "\":0\""; "c", "null" ] do
                      let! made =
                          subject.SendAsync("POST", "/proxies", $$"""{"name":"{{name}}","listen":{{listen}},"upstream":"127.0.0.1:9"}""")

                      Raw.isJson made 201
                      Expect.stringStarts (Raw.json(made)["listen"] |> string) "127.0.0.1:" listen
              })

          Subject.test "keys are read in any case, and unknown ones are ignored" (fun subject ->
              task {
                  let body = """{"NAME":"p","Listen":"127.0.0.1:0","uPstream":"127.0.0.1:9","ENABLED":false,"other":[{}],"toxics":[1]}"""
                  let! made = subject.SendAsync("POST", "/proxies", body)
                  Raw.isJson made 201
                  check (Raw.json made) downAsReplied "made"
              })

          Subject.test "of keys that come twice the last counts, and null is as good as none" (fun subject ->
              task {
                  let body = """{"name":"q","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false,"Name":"p","enabled":null}"""

                  let! made = subject.SendAsync("POST", "/proxies", body)
                  Raw.isJson made 201
                  check (Raw.json made) downAsReplied "made"
              })

          Subject.test "what follows the JSON value is ignored" (fun subject ->
              task {
                  let! made = subject.SendAsync("POST", "/proxies", down + " {]")
                  Raw.isJson made 201
              })

          Subject.test "names need not be plain" (fun subject ->
              task {
                  let body = down.Replace("\"p\"", "\"a b?ä\"")
                  let! made = subject.SendAsync("POST", "/proxies", body)
                  Raw.isJson made 201
                  let! shown = subject.SendAsync("GET", "/proxies/a%20b%3F%C3%A4")
                  Raw.isJson shown 200
                  Expect.equal (Raw.json(shown)["name"] |> string) "a b?ä" "name"
              })

          Subject.test "a missing or empty name or upstream is 400" (fun subject ->
              task {
                  for body, missing in
                      [ """{}""", "name"
                        """null""", "name"
                        """{"name":"","upstream":"a:1"}""", "name"
                        """{"name":"p"}""", "upstream"
                        """{"name":"p","upstream":""}""", "upstream" ] do
                      let! reply = subject.SendAsync("POST", "/proxies", body)
                      Raw.refusal reply 400 $"missing required field: {missing}"
              })

          Subject.test "a body that is no such JSON is 400" (fun subject ->
              task {
                  for body in
                      [ ""
                        "x"
                        "[]"
                        "5"
                        "\"p\""
                        """{"name":5}"""
                        """{"name":"p","upstream":{}}"""
                        """{"name":"p","upstream":"a:1","listen":1}"""
                        """{"name":"p","upstream":"a:1","enabled":"yes"}"""
                        """{"name":"p","upstream":"a:1","enabled":1}"""
                        """{"name":"p","upstream":"a:1" """ ] do
                      let! reply = subject.SendAsync("POST", "/proxies", body)
                      Raw.badBody reply
              })

          Subject.test "a name that is taken is 409" (fun subject ->
              task {
                  let! _ = subject.SendAsync("POST", "/proxies", down)
                  let! again = subject.SendAsync("POST", "/proxies", down)
                  Raw.refusal again 409 "proxy already exists"
              })

          Subject.test "a port that is taken is 500, and there is no such proxy then" (fun subject ->
              task {
                  use taken = new TcpListener(IPAddress.Loopback, 0)
                  taken.Start()
                  let body = $$"""{"name":"p","listen":"{{taken.LocalEndpoint}}","upstream":"127.0.0.1:9"}"""
                  let! reply = subject.SendAsync("POST", "/proxies", body)
                  Raw.refusal reply 500 $"listen tcp {taken.LocalEndpoint}: bind: address already in use"
                  let! shown = subject.SendAsync("GET", "/proxies/p")
                  Expect.equal shown.Status 404 "status"
              })

          Subject.test "an address that is none is 500" (fun subject ->
              task {
                  for listen in [ "nonsense"; "127.0.0.1:port"; "127.0.0.1:65536"; "::1:80"; "127.0.0.1" ] do
                      let! reply =
                          subject.SendAsync("POST", "/proxies", $$"""{"name":"p","listen":"{{listen}}","upstream":"127.0.0.1:9"}""")

                      Expect.equal reply.Status 500 listen
                      Expect.stringContains reply.Body "listen tcp" listen
              })

          Subject.test "one that is deleted is gone" (fun subject ->
              task {
                  let! _ = subject.SendAsync("POST", "/proxies", down)
                  let! deleted = subject.SendAsync("DELETE", "/proxies/p")
                  Expect.equal deleted.Status 204 "status"
                  Expect.equal deleted.Body "" "body"
                  let! again = subject.SendAsync("DELETE", "/proxies/p")
                  Raw.refusal again 404 "proxy not found"
              })

          Subject.test "one that is not there is 404, whatever is asked of it" (fun subject ->
              task {
                  for method, path in
                      [ "GET", ""
                        "DELETE", ""
                        "PATCH", ""
                        "POST", ""
                        "GET", "/toxics"
                        "POST", "/toxics"
                        "GET", "/toxics/t"
                        "DELETE", "/toxics/t"
                        "PATCH", "/toxics/t"
                        "POST", "/toxics/t" ] do
                      let! reply = subject.SendAsync(method, "/proxies/none" + path, "{}")
                      Raw.refusal reply 404 "proxy not found"
              }) ]

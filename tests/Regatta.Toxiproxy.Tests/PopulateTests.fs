module Regatta.Toxiproxy.Tests.PopulateTests

open System.Net
open System.Net.Sockets
open Expecto

let private names (reply: RawReply) =
    match Raw.json(reply)["proxies"] with
    | null -> []
    | list -> [ for proxy in list.AsArray() -> string (Option.ofObj proxy |> Option.get).["name"] ]

let private field (reply: RawReply) (name: string) = Raw.json(reply)[name] |> string
let private shown (subject: Subject) name = subject.SendAsync("GET", $"/proxies/{name}")

/// Enabled, on a port that the system chose.
let private make (subject: Subject) name =
    task {
        let! made =
            subject.SendAsync("POST", "/proxies", $$"""{"name":"{{name}}","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}""")

        let! _ = subject.SendAsync("POST", $"/proxies/{name}/toxics", """{"type":"noop"}""")
        return field made "listen"
    }

let private populate =
    testList
        "populate"
        [ Subject.test "makes proxies, enabled unless told otherwise" (fun subject ->
              task {
                  let body =
                      """[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"},
                          {"NAME":"b","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":false},
                          {"name":"c","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":null}]"""

                  let! reply = subject.SendAsync("POST", "/populate", body)
                  Raw.isJson reply 201
                  Expect.equal (names reply) [ "a"; "b"; "c" ] "proxies, in the request's order"

                  for name, enabled in [ "a", "true"; "b", "false"; "c", "true" ] do
                      let! proxy = shown subject name
                      Expect.equal (field proxy "enabled") enabled name
              })

          Subject.test "of nothing is null" (fun subject ->
              task {
                  for body in [ "[]"; "null" ] do
                      let! reply = subject.SendAsync("POST", "/populate", body)
                      Raw.isJson reply 201
                      Raw.same (Raw.json reply) """{"proxies":null}""" body
              })

          Subject.test "leaves a proxy with the same addresses as it is, even if it is to be disabled" (fun subject ->
              task {
                  let! listen = make subject "a"
                  let body = $$"""[{"name":"a","listen":"{{listen}}","upstream":"127.0.0.1:9","enabled":false}]"""
                  let! reply = subject.SendAsync("POST", "/populate", body)
                  Raw.isJson reply 201
                  let! proxy = shown subject "a"
                  Expect.equal (field proxy "enabled") "true" "enabled"
                  Expect.equal (Raw.json(proxy)["toxics"] |> Option.ofObj |> Option.map _.AsArray().Count) (Some 1) "its toxic"
              })

          Subject.test "replaces a proxy with other addresses, and its toxics are gone" (fun subject ->
              task {
                  let! listen = make subject "a"
                  let body = $$"""[{"name":"a","listen":"{{listen}}","upstream":"127.0.0.1:10"}]"""
                  let! reply = subject.SendAsync("POST", "/populate", body)
                  Raw.isJson reply 201
                  let! proxy = shown subject "a"
                  Expect.equal (field proxy "upstream") "127.0.0.1:10" "upstream"
                  Expect.equal (field proxy "listen") listen "listen"
                  Expect.equal (Raw.json(proxy)["toxics"] |> Option.ofObj |> Option.map _.AsArray().Count) (Some 0) "no toxic"
              })

          Subject.test "removes no proxy" (fun subject ->
              task {
                  let! _ = make subject "a"
                  let! _ = subject.SendAsync("POST", "/populate", """[{"name":"b","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}]""")
                  let! proxy = shown subject "a"
                  Expect.equal proxy.Status 200 "status"
              })

          Subject.test "refuses with JSON by name, too, and makes nothing when a field is missing" (fun subject ->
              task {
                  for body, message in
                      [ """[{"name":"a","upstream":"a:1"},{"upstream":"a:1"}]""", "missing required field: name at proxy 2"
                        """[{"name":"a"}]""", "missing required field: upstream at proxy 1" ] do
                      let! reply = subject.SendAsync("POST", "/populate", body)
                      Raw.isJson reply 400
                      Raw.same (Raw.json reply) $$"""{"error":"{{message}}","status":400,"proxies":null}""" body

                  let! listed = subject.SendAsync("GET", "/proxies")
                  Raw.same (Raw.json listed) "{}" "proxies"
              })

          Subject.test "refuses a body that is no list of proxies" (fun subject ->
              task {
                  for body in [ ""; "{}"; "[1]"; """[{"name":"a","upstream":"a:1","enabled":0}]"""; "[" ] do
                      let! reply = subject.SendAsync("POST", "/populate", body)
                      Raw.isJson reply 400
                      Expect.stringStarts (field reply "error") "bad request body: " body
              })

          Subject.test "tells which proxies it made before one could not listen" (fun subject ->
              task {
                  use taken = new TcpListener(IPAddress.Loopback, 0)
                  taken.Start()

                  let body =
                      $$"""[{"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"},
                            {"name":"b","listen":"{{taken.LocalEndpoint}}","upstream":"127.0.0.1:9"},
                            {"name":"c","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}]"""

                  let! reply = subject.SendAsync("POST", "/populate", body)
                  Raw.isJson reply 500
                  Expect.equal (names reply) [ "a" ] "proxies"
                  Expect.stringContains (field reply "error") "address already in use" "error"
                  Expect.equal (field reply "status") "500" "status"
                  let! last = shown subject "c"
                  Expect.equal last.Status 404 "the last one"
              }) ]

let private reset =
    testList
        "reset"
        [ Subject.test "enables all proxies and removes all toxics" (fun subject ->
              task {
                  let! listen = make subject "a"
                  let! _ = make subject "b"
                  let! _ = subject.SendAsync("PATCH", "/proxies/a", """{"enabled":false}""")
                  let! reply = subject.SendAsync("POST", "/reset")
                  Expect.equal reply.Status 204 "status"
                  Expect.equal reply.Body "" "body"

                  for name in [ "a"; "b" ] do
                      let! proxy = shown subject name
                      Expect.equal (field proxy "enabled") "true" name
                      Expect.equal (Raw.json(proxy)["toxics"] |> Option.ofObj |> Option.map _.AsArray().Count) (Some 0) name

                  let! proxy = shown subject "a"
                  Expect.equal (field proxy "listen") listen "the port"
              })

          Subject.test "is 500 when a proxy cannot listen" (fun subject ->
              task {
                  use taken = new TcpListener(IPAddress.Loopback, 0)
                  taken.Start()
                  let body = $$"""{"name":"a","listen":"{{taken.LocalEndpoint}}","upstream":"127.0.0.1:9","enabled":false}"""
                  let! _ = subject.SendAsync("POST", "/proxies", body)
                  let! reply = subject.SendAsync("POST", "/reset")
                  Raw.refusal reply 500 $"listen tcp {taken.LocalEndpoint}: bind: address already in use"
              }) ]

let tests = testList "several proxies" [ populate; reset ]

module Regatta.Toxiproxy.Tests.ProxyUpdateTests

open System.Net
open System.Net.Sockets
open Expecto

let private field (reply: RawReply) (name: string) = Raw.json(reply)[name] |> string

let private create (subject: Subject) =
    task {
        let! made = subject.SendAsync("POST", "/proxies", """{"name":"p","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}""")
        Raw.isJson made 201
        return field made "listen"
    }

let private listens (address: string) =
    task {
        try
            use! socket = Wire.connect address
            return socket.Connected
        with :? SocketException ->
            return false
    }

let tests =
    testList
        "proxy updates"
        [ Subject.test "POST is as good as PATCH, and what is not mentioned stays" (fun subject ->
              task {
                  let! listen = create subject

                  for method in [ "PATCH"; "POST" ] do
                      for body in [ "{}"; "null"; """{"other":1}"""; """{"listen":null,"enabled":null}""" ] do
                          let! reply = subject.SendAsync(method, "/proxies/p", body)
                          Raw.isJson reply 200
                          Expect.equal (field reply "listen") listen "listen"
                          Expect.equal (field reply "upstream") "127.0.0.1:9" "upstream"
                          Expect.equal (field reply "enabled") "true" "enabled"
              })

          Subject.test "the name is ignored" (fun subject ->
              task {
                  let! _ = create subject
                  let! reply = subject.SendAsync("PATCH", "/proxies/p", """{"name":"q"}""")
                  Raw.isJson reply 200
                  Expect.equal (field reply "name") "p" "name"
                  let! other = subject.SendAsync("GET", "/proxies/q")
                  Raw.refusal other 404 "proxy not found"
              })

          Subject.test "one that is disabled listens no more, and enabled again it has its port again" (fun subject ->
              task {
                  let! listen = create subject
                  let! disabled = subject.SendAsync("PATCH", "/proxies/p", """{"enabled":false}""")
                  Expect.equal (field disabled "enabled") "false" "disabled"
                  let! there = listens listen
                  Expect.isFalse there "disabled"
                  let! enabled = subject.SendAsync("PATCH", "/proxies/p", """{"enabled":true}""")
                  Expect.equal (field enabled "enabled") "true" "enabled"
                  Expect.equal (field enabled "listen") listen "the same port"
                  let! there = listens listen
                  Expect.isTrue there "enabled"
              })

          Subject.test "a new listen address takes the place of the old one" (fun subject ->
              task {
                  let! listen = create subject
                  let! reply = subject.SendAsync("PATCH", "/proxies/p", """{"listen":"127.0.0.1:0"}""")
                  Raw.isJson reply 200
                  let moved = field reply "listen"
                  Expect.equal (field reply "enabled") "true" "enabled"
                  Expect.notEqual moved listen "listen"
                  let! old = listens listen
                  Expect.isFalse old "the old one"
                  let! there = listens moved
                  Expect.isTrue there "the new one"
              })

          Subject.test "a new address for one that is disabled is kept until it is enabled" (fun subject ->
              task {
                  let! _ = create subject
                  let! _ = subject.SendAsync("PATCH", "/proxies/p", """{"enabled":false}""")
                  let! reply = subject.SendAsync("PATCH", "/proxies/p", """{"listen":"127.0.0.1:0","upstream":"127.0.0.1:10"}""")
                  Expect.equal (field reply "listen") "127.0.0.1:0" "listen"
                  Expect.equal (field reply "upstream") "127.0.0.1:10" "upstream"
                  let! enabled = subject.SendAsync("PATCH", "/proxies/p", """{"enabled":true}""")
                  Expect.notEqual (field enabled "listen") "127.0.0.1:0" "resolved"
              })

          Subject.test "one that cannot listen at its new address is 500, and disabled with that address" (fun subject ->
              task {
                  use taken = new TcpListener(IPAddress.Loopback, 0)
                  taken.Start()
                  let! _ = create subject
                  let! reply = subject.SendAsync("PATCH", "/proxies/p", $$"""{"listen":"{{taken.LocalEndpoint}}"}""")
                  Expect.equal reply.Status 500 "status"
                  let! shown = subject.SendAsync("GET", "/proxies/p")
                  Expect.equal (field shown "enabled") "false" "enabled"
                  Expect.equal (field shown "listen") (string taken.LocalEndpoint) "listen"
              })

          Subject.test "an address that is none is 500 and changes nothing" (fun subject ->
              task {
                  let! listen = create subject
                  let! reply = subject.SendAsync("PATCH", "/proxies/p", """{"listen":"nonsense","enabled":false}""")
                  Expect.equal reply.Status 500 "status"
                  let! shown = subject.SendAsync("GET", "/proxies/p")
                  Expect.equal (field shown "listen") listen "listen"
                  Expect.equal (field shown "enabled") "true" "enabled"
              })

          Subject.test "a body that is no such JSON is 400 and changes nothing" (fun subject ->
              task {
                  let! listen = create subject

                  for body in [ ""; "[]"; "{"; """{"enabled":"false"}"""; """{"enabled":false,"upstream":7}"""; """{"name":1}""" ] do
                      let! reply = subject.SendAsync("PATCH", "/proxies/p", body)
                      Raw.badBody reply

                  let! shown = subject.SendAsync("GET", "/proxies/p")
                  Expect.equal (field shown "enabled") "true" "enabled"
                  Expect.equal (field shown "listen") listen "listen"
              })

          Subject.test "toxics stay when a proxy moves or is disabled" (fun subject ->
              task {
                  let! _ = create subject
                  let! _ = subject.SendAsync("POST", "/proxies/p/toxics", """{"type":"noop"}""")
                  let! _ = subject.SendAsync("PATCH", "/proxies/p", """{"listen":"127.0.0.1:0","enabled":false}""")
                  let! toxic = subject.SendAsync("GET", "/proxies/p/toxics/noop_downstream")
                  Raw.isJson toxic 200
              }) ]

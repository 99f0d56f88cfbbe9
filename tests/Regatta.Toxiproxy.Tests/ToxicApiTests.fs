module Regatta.Toxiproxy.Tests.ToxicApiTests

open Expecto

/// A test with a proxy `p` that does not listen.
let private test name (body: Subject -> System.Threading.Tasks.Task<unit>) =
    Subject.test name (fun subject ->
        task {
            let! made = subject.SendAsync("POST", "/proxies", ProxyApiTests.down)
            Raw.isJson made 201
            do! body subject
        })

let private toxics = "/proxies/p/toxics"
let private field (reply: RawReply) (name: string) = Raw.json(reply)[name] |> string

let private names (reply: RawReply) = [ for toxic in Raw.json(reply).AsArray() -> string (Option.ofObj toxic |> Option.get).["name"] ]

let tests =
    testList
        "toxics"
        [ test "one that is added is replied with 200, shown, and in its proxy" (fun subject ->
              task {
                  let expected =
                      """{"attributes":{"latency":100,"jitter":0},"name":"latency_downstream","type":"latency","stream":"downstream","toxicity":1}"""

                  let! added = subject.SendAsync("POST", toxics, """{"type":"latency","attributes":{"latency":100}}""")
                  Raw.isJson added 200
                  Raw.same (Raw.json added) expected "added"
                  let! shown = subject.SendAsync("GET", toxics + "/latency_downstream")
                  Raw.isJson shown 200
                  Raw.same (Raw.json shown) expected "shown"
                  let! listed = subject.SendAsync("GET", toxics)
                  Raw.isJson listed 200
                  Raw.same (Raw.json listed) $"[{expected}]" "listed"
                  let! proxy = subject.SendAsync("GET", "/proxies/p")
                  let inside = Raw.json(proxy)["toxics"] |> Option.ofObj |> Option.get
                  Raw.same inside $"[{expected}]" "in the proxy"
              })

          test "there is none at first" (fun subject ->
              task {
                  let! listed = subject.SendAsync("GET", toxics)
                  Raw.isJson listed 200
                  Raw.same (Raw.json listed) "[]" "toxics"
              })

          test "those of the upstream direction come first, each direction in the order of adding" (fun subject ->
              task {
                  for name, stream in [ "d1", "downstream"; "u1", "upstream"; "d2", "downstream"; "u2", "upstream" ] do
                      let! added = subject.SendAsync("POST", toxics, $$"""{"name":"{{name}}","type":"noop","stream":"{{stream}}"}""")
                      Raw.isJson added 200

                  let! listed = subject.SendAsync("GET", toxics)
                  Expect.equal (names listed) [ "u1"; "u2"; "d1"; "d2" ] "toxics"
              })

          test "name, stream and toxicity have defaults, for null, too" (fun subject ->
              task {
                  let body = """{"type":"noop","name":null,"stream":null,"toxicity":null,"attributes":null}"""
                  let! added = subject.SendAsync("POST", toxics, body)

                  Raw.same
                      (Raw.json added)
                      """{"attributes":{},"name":"noop_downstream","type":"noop","stream":"downstream","toxicity":1}"""
                      "added"
              })

          test "the stream is read in any case, and kept as it was written" (fun subject ->
              task {
                  let! added = subject.SendAsync("POST", toxics, """{"type":"noop","stream":"UpStream"}""")
                  Raw.isJson added 200
                  Expect.equal (field added "stream") "UpStream" "stream"
                  Expect.equal (field added "name") "noop_UpStream" "name"
                  let! _ = subject.SendAsync("POST", toxics, """{"type":"noop"}""")
                  let! listed = subject.SendAsync("GET", toxics)
                  Expect.equal (names listed) [ "noop_UpStream"; "noop_downstream" ] "it is an upstream one"
              })

          test "keys are read in any case, and unknown ones are ignored" (fun subject ->
              task {
                  let body =
                      """{"NAME":"t","Type":"latency","STREAM":"upstream","Toxicity":0.5,"Attributes":{"LATENCY":7,"other":"x"},"x":1}"""

                  let! added = subject.SendAsync("POST", toxics, body)

                  Raw.same
                      (Raw.json added)
                      """{"attributes":{"latency":7,"jitter":0},"name":"t","type":"latency","stream":"upstream","toxicity":0.5}"""
                      "added"
              })

          test "an unknown type is 400, and types are lower case" (fun subject ->
              task {
                  for kind in [ "\"nonsense\""; "\"\""; "\"Latency\""; "null" ] do
                      let! reply = subject.SendAsync("POST", toxics, $$"""{"type":{{kind}}}""")
                      Raw.refusal reply 400 "invalid toxic type"
              })

          test "an unknown stream is 400, before the type is looked at" (fun subject ->
              task {
                  for stream in [ "sideways"; "" ] do
                      let! reply = subject.SendAsync("POST", toxics, $$"""{"type":"nonsense","stream":"{{stream}}"}""")
                      Raw.refusal reply 400 "stream was invalid, can be either upstream or downstream"
              })

          test "a name that is taken is 409, in the other stream, too, and before attributes are looked at" (fun subject ->
              task {
                  let! _ = subject.SendAsync("POST", toxics, """{"name":"t","type":"noop","stream":"upstream"}""")
                  let! reply = subject.SendAsync("POST", toxics, """{"name":"t","type":"latency","attributes":{"latency":"x"}}""")
                  Raw.refusal reply 409 "toxic already exists"
              })

          test "a body that is no such JSON is 400, and nothing is added" (fun subject ->
              task {
                  for body in
                      [ ""
                        "[]"
                        "{"
                        """{"type":1}"""
                        """{"type":"noop","name":{}}"""
                        """{"type":"noop","stream":true}"""
                        """{"type":"noop","toxicity":"1"}"""
                        """{"type":"noop","toxicity":1e39}"""
                        """{"type":"noop","attributes":[]}"""
                        """{"type":"noop","attributes":1}""" ] do
                      let! reply = subject.SendAsync("POST", toxics, body)
                      Raw.badBody reply

                  let! listed = subject.SendAsync("GET", toxics)
                  Expect.equal (names listed) [] "toxics"
              })

          test "one that is not there is 404" (fun subject ->
              task {
                  for method in [ "GET"; "DELETE"; "PATCH"; "POST" ] do
                      let! reply = subject.SendAsync(method, toxics + "/none", "{}")
                      Raw.refusal reply 404 "toxic not found"
              })

          test "one that is deleted is gone, and the others stay in order" (fun subject ->
              task {
                  for name in [ "a"; "b"; "c" ] do
                      let! _ = subject.SendAsync("POST", toxics, $$"""{"name":"{{name}}","type":"noop"}""")
                      ()

                  let! deleted = subject.SendAsync("DELETE", toxics + "/b")
                  Expect.equal deleted.Status 204 "status"
                  Expect.equal deleted.Body "" "body"
                  let! listed = subject.SendAsync("GET", toxics)
                  Expect.equal (names listed) [ "a"; "c" ] "toxics"
              })

          test "an update changes what it mentions, by PATCH and by POST" (fun subject ->
              task {
                  let! _ = subject.SendAsync("POST", toxics, """{"name":"t","type":"latency","attributes":{"latency":1,"jitter":2}}""")

                  for method, body, latency, jitter, toxicity in
                      [ "PATCH", """{"attributes":{"latency":10}}""", 10, 2, "1"
                        "POST", """{"toxicity":0.25}""", 10, 2, "0.25"
                        "PATCH", """{"ATTRIBUTES":{"Jitter":3},"toxicity":null}""", 10, 3, "0.25"
                        "PATCH", """{"attributes":null}""", 10, 3, "0.25"
                        "POST", "{}", 10, 3, "0.25"
                        "PATCH", "null", 10, 3, "0.25"
                        "PATCH", """{"attributes":{"latency":0,"jitter":null},"toxicity":1}""", 0, 3, "1" ] do
                      let! reply = subject.SendAsync(method, toxics + "/t", body)
                      Raw.isJson reply 200

                      Raw.same
                          (Raw.json reply)
                          $$"""{"attributes":{"latency":{{latency}},"jitter":{{jitter}}},"name":"t","type":"latency","stream":"downstream","toxicity":{{toxicity}}}"""
                          body
              })

          test "an update leaves name, type and stream" (fun subject ->
              task {
                  let! _ = subject.SendAsync("POST", toxics, """{"name":"t","type":"timeout"}""")
                  let! reply = subject.SendAsync("PATCH", toxics + "/t", """{"name":"u","type":"latency","stream":"upstream"}""")
                  Expect.equal (field reply "name") "t" "name"
                  Expect.equal (field reply "type") "timeout" "type"
                  Expect.equal (field reply "stream") "downstream" "stream"
              })

          test "an update that is no such JSON is 400" (fun subject ->
              task {
                  let! _ = subject.SendAsync("POST", toxics, """{"name":"t","type":"latency","attributes":{"latency":5}}""")

                  for body in
                      [ ""
                        "[]"
                        "{"
                        """{"attributes":{"latency":"5"}}"""
                        """{"attributes":{"latency":1.5}}"""
                        """{"attributes":[1]}"""
                        """{"toxicity":"x","attributes":{}}""" ] do
                      let! reply = subject.SendAsync("PATCH", toxics + "/t", body)
                      Raw.badBody reply

                  let! shown = subject.SendAsync("GET", toxics + "/t")
                  let attributes = Raw.json(shown)["attributes"] |> Option.ofObj |> Option.get
                  Raw.same attributes """{"latency":5,"jitter":0}""" "attributes"
              }) ]

module Regatta.Toxiproxy.Tests.AttributeTests

open Expecto

/// Every type, with its attributes.
let private kinds =
    [ "latency", [ "latency"; "jitter" ]
      "bandwidth", [ "rate" ]
      "slow_close", [ "delay" ]
      "timeout", [ "timeout" ]
      "reset_peer", [ "timeout" ]
      "slicer", [ "average_size"; "size_variation"; "delay" ]
      "limit_data", [ "bytes" ]
      "noop", [] ]

let private object' (fields: (string * string) list) =
    fields |> List.map (fun (name, value) -> $"\"{name}\":{value}") |> String.concat "," |> sprintf "{%s}"

let private add (subject: Subject) kind attributes =
    task {
        let! _ = subject.SendAsync("DELETE", "/proxies/p/toxics/t")
        return! subject.SendAsync("POST", "/proxies/p/toxics", $$"""{"name":"t","type":"{{kind}}","attributes":{{attributes}}}""")
    }

let private withProxy (body: Subject -> System.Threading.Tasks.Task<unit>) (subject: Subject) =
    task {
        let! _ = subject.SendAsync("POST", "/proxies", ProxyApiTests.down)
        do! body subject
    }

let private attributes (reply: RawReply) = Raw.json(reply)["attributes"] |> Option.ofObj |> Option.get

let private perKind kind names =
    testList
        kind
        [ Subject.test
              "attributes are 0 unless told otherwise"
              (withProxy (fun subject ->
                  task {
                      let! reply = add subject kind "{}"
                      Raw.isJson reply 200
                      Raw.same (attributes reply) (object' [ for name in names -> name, "0" ]) "attributes"
                  }))

          Subject.test
              "attributes come back as they were sent"
              (withProxy (fun subject ->
                  task {
                      for value in [ 1L; 9_007_199_254_740_993L; System.Int64.MaxValue ] do
                          let sent = object' [ for name in names -> name, string value ]
                          let! reply = add subject kind sent
                          Raw.isJson reply 200
                          Raw.same (attributes reply) sent "attributes"
                  }))

          Subject.test
              "attributes are integers: fractions, strings and all else are 400"
              (withProxy (fun subject ->
                  task {
                      for name in names do
                          for value in [ "1.5"; "1.0"; "1e3"; "\"1\""; "true"; "[]"; "{}"; "9223372036854775808" ] do
                              let! reply = add subject kind (object' [ name, value ])
                              Raw.badBody reply
                  })) ]

let tests =
    testList
        "attributes"
        [ for kind, names in kinds do
              perKind kind names

          Subject.test
              "may be negative, and are none then"
              (withProxy (fun subject ->
                  task {
                      for kind, names in kinds do
                          if kind <> "bandwidth" then
                              let sent = object' [ for name in names -> name, "-1" ]
                              let! reply = add subject kind sent
                              Raw.isJson reply 200
                              Raw.same (attributes reply) sent kind
                  }))

          Subject.testOwn
              "a negative rate is 400"
              (withProxy (fun subject ->
                  task {
                      let! added = add subject "bandwidth" """{"rate":-1}"""
                      Raw.badBody added
                      let! _ = add subject "bandwidth" """{"rate":1}"""
                      let! updated = subject.SendAsync("PATCH", "/proxies/p/toxics/t", """{"attributes":{"rate":-1}}""")
                      Raw.badBody updated
                  })) ]

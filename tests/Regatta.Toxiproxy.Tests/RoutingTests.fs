module Regatta.Toxiproxy.Tests.RoutingTests

open Expecto

let private paths =
    [ "/reset", [ "POST" ]
      "/populate", [ "POST" ]
      "/version", [ "GET" ]
      "/proxies", [ "GET"; "POST" ]
      "/proxies/p", [ "GET"; "POST"; "PATCH"; "DELETE" ]
      "/proxies/p/toxics", [ "GET"; "POST" ]
      "/proxies/p/toxics/t", [ "GET"; "POST"; "PATCH"; "DELETE" ] ]

let tests =
    testList
        "routing"
        [ Subject.test "a wrong method is 405, on every path" (fun subject ->
              task {
                  for path, methods in paths do
                      for method in [ "GET"; "HEAD"; "POST"; "PUT"; "PATCH"; "DELETE" ] |> List.except methods do
                          let! reply = subject.SendAsync(method, path)
                          Expect.equal reply.Status 405 $"{method} {path}"
                          Expect.equal reply.Body "" "body"
              })

          Subject.test "an unknown path is 404" (fun subject ->
              task {
                  for path in
                      [ "/"
                        "/proxies/"
                        "/Proxies"
                        "/reset/"
                        "/metrics"
                        "/proxies/p/"
                        "/proxies/p/other"
                        "/proxies/p/toxics/"
                        "/proxies/p/toxics/t/x" ] do
                      let! reply = subject.SendAsync("GET", path)
                      Expect.equal reply.Status 404 path
                      Expect.equal reply.ContentType "text/plain; charset=utf-8" path
                      Expect.equal reply.Body "404 page not found\n" path
              })

          Subject.test "what follows a question mark is ignored" (fun subject ->
              task {
                  let! reply = subject.SendAsync("GET", "/proxies?a=b/c")
                  Raw.isJson reply 200
              })

          Subject.test "the version is JSON with a character set" (fun subject ->
              task {
                  let! reply = subject.SendAsync("GET", "/version")
                  Expect.equal reply.Status 200 "status"
                  Expect.equal reply.ContentType "application/json;charset=utf-8" "content type"
                  Expect.isNotEmpty (Raw.json(reply)["version"] |> string) "version"
              })

          Subject.test "a browser is turned away" (fun subject ->
              task {
                  let! reply = subject.SendAsync("GET", "/proxies", userAgent = "Mozilla/5.0 (X11; Linux x86_64)")
                  Expect.equal reply.Status 403 "status"
                  Expect.equal reply.Body "User agent not allowed\n" "body"
              }) ]

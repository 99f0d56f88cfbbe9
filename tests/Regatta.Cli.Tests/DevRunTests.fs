/// `regatta dev` as users have it.
module DevRunTests

open System
open System.IO
open System.Net.Http
open System.Text.Json
open System.Text.RegularExpressions
open System.Threading.Tasks
open Expecto
open Regatta.Cli
open Launched

let private endpoints (site: Running) =
    [ for found in Regex.Matches(site.Announced, "^clients: (.*)$", RegexOptions.Multiline) -> found.Groups[1].Value ]

let private development =
    testCaseTask "regatta dev makes the table default, says where it is, gets ready, and keeps its data from one run to the next" (fun () ->
        inDirectory (fun directory ->
            task {
                let! first = dev directory
                Expect.stringContains first.Announced $"data:    {directory}/site-0/node-1\n" "where the data is"
                Expect.stringContains first.Announced $"regatta kv put --endpoints {first.Site.Endpoint} greeting hello\n" "what to try"
                use http = new HttpClient()
                let! ready = http.GetAsync(first.Rest + "/readyz")
                Expect.equal (int ready.StatusCode) 200 "/readyz"
                let! put = Run.at first.Site [ "kv"; "put"; "greeting"; "hello" ]
                expectOutput [ "revision 1" ] put
                let! stopped = first.Stop()
                Expect.equal stopped (ExitCode.Ok, "") "a clean stop"
                let! again = dev directory
                let! got = Run.at again.Site [ "kv"; "get"; "greeting" ]
                expectOutput [ "hello" ] got
                let! _ = again.Stop()
                ()
            }))

let private three =
    testCaseTask
        "regatta dev --nodes 3 runs a site of three, any of which takes writes, and keeps its data from one run to the next"
        (fun () ->
            inDirectory (fun directory ->
                task {
                    let run () = launch [] [ "dev"; "--base-port"; "0"; "--data-dir"; directory; "--log-level"; "ERROR" ]

                    let! first = run ()
                    let nodes = endpoints first
                    Expect.hasLength nodes 3 "nodes"
                    let all = String.concat "," nodes
                    Expect.stringContains first.Announced $"regatta kv put --endpoints {all} greeting hello\n" "what to try"

                    for number, endpoint in List.indexed nodes do
                        let! put = Run.regatta [ "kv"; "put"; "--endpoints"; endpoint; $"key {number}"; endpoint ]
                        expectOutput [ $"revision {number + 1}" ] put

                    let! stopped = first.Stop()
                    expectCleanStop stopped
                    let! again = run ()

                    for endpoint in endpoints again do
                        let! got = Run.regatta [ "kv"; "get"; "--linearizable"; "--endpoints"; endpoint; "key 0" ]
                        expectOutput [ nodes[0] ] got

                    let! _ = again.Stop()
                    ()
                }))

let private twoSites =
    testCaseTask
        "regatta dev --sites 2 runs a leader site and a follower site, and shows at the one what was written at the other"
        (fun () ->
            inDirectory (fun directory ->
                task {
                    let arguments = [ "dev"; "--sites"; "2"; "--base-port"; "0"; "--data-dir"; directory; "--log-level"; "ERROR" ]
                    let! running = launch [] arguments
                    let nodes = endpoints running
                    Expect.hasLength nodes 4 "three nodes, and one of the follower site"
                    let leader = String.concat "," (List.take 3 nodes)
                    let follower = nodes[3]
                    Expect.stringContains running.Announced $"regatta kv put --endpoints {leader} greeting hello\n" "what to try"
                    Expect.stringContains running.Announced $"regatta kv get --endpoints {follower} greeting\n" "and then"
                    let! put = Run.regatta [ "kv"; "put"; "--endpoints"; leader; "greeting"; "hello" ]
                    expectOutput [ "revision 1" ] put
                    let! got = Run.regatta [ "kv"; "get"; "--endpoints"; follower; "--min-revision"; "1"; "greeting" ]
                    expectOutput [ "hello" ] got
                    let! passed = Run.regatta [ "kv"; "put"; "--endpoints"; follower; "greeting"; "ahoy" ]
                    expectOutput [ "revision 2" ] passed
                    let! read = Run.regatta [ "kv"; "get"; "--endpoints"; follower; "greeting" ]
                    expectOutput [ "ahoy" ] read
                    let session = [ "--session"; Path.Combine(directory, "session") ]

                    // Whichever site is asked, what the file's holder has written is read.
                    for number, (writes, reads) in List.indexed [ leader, follower; follower, leader; leader, follower ] do
                        let! _ = Run.regatta ([ "kv"; "put"; "--endpoints"; writes; "count"; $"{number}" ] @ session)
                        let! got = Run.regatta ([ "kv"; "get"; "--endpoints"; reads; "count" ] @ session)
                        expectOutput [ $"{number}" ] got

                    let! _ = Run.regatta [ "kv"; "put"; "--endpoints"; leader; "count"; "last" ]
                    let! got = Run.regatta [ "kv"; "get"; "--endpoints"; follower; "--consistency"; "global"; "count" ]
                    expectOutput [ "last" ] got
                    let! here = Run.regatta [ "kv"; "get"; "--endpoints"; follower; "--min-revision"; "6"; "count" ]
                    expectOutput [ "last" ] here
                    File.WriteAllText(session[1], "nonsense")
                    let! wrong = Run.regatta ([ "kv"; "get"; "--endpoints"; leader; "count" ] @ session)
                    Expect.equal wrong.Code ExitCode.Usage "no session"
                    Expect.stringContains wrong.Errors "is not a session: this is not a session token" "why"
                    Expect.stringContains wrong.Errors "name another file, or remove it" "what to do"
                    let! status = Run.regatta [ "site"; "status"; "--endpoints"; follower; "-o"; "json" ]
                    Expect.equal (status.Code, status.Errors) (ExitCode.Ok, "") "it follows"
                    use rows = JsonDocument.Parse status.Output

                    let shown =
                        [ for row in rows.RootElement.EnumerateArray() do
                              let text (name: string) = (row.GetProperty name).ToString()

                              if text "table" = "default" then
                                  [ text "state"; text "revision"; text "leader_revision"; text "lag"; text "node" ] ]

                    Expect.equal shown [ [ "following"; "6"; "6"; "0"; "1" ] ] "the table"
                    let! leads = Run.regatta [ "site"; "status"; "--endpoints"; leader ]
                    Expect.equal leads.Code ExitCode.Failed "a leader site follows nobody"
                    Expect.stringContains leads.Errors "give --endpoints of a follower site" "what to do"
                    let! stopped = running.Stop()
                    expectCleanStop stopped
                }))

let tests = testList "dev" [ development; three; twoSites ]

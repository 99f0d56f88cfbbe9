module Regatta.Node.Tests.OptionTests

open System
open System.Collections.Generic
open Expecto
open FsCheck.FSharp
open Regatta.Node
open Regatta.Testing

let private apply (settings: (string * string) list) = Nodes.outcome (("data-dir", "/tmp/x") :: settings)

let private error (settings: (string * string) list) =
    let outcome = apply settings
    Expect.isNull outcome.Options "there must be no options beside errors"
    String.Join("; ", outcome.Errors)

let private applied (settings: (string * string) list) =
    match (apply settings).Options with
    | null -> failtestf "%s" (String.Join("; ", (apply settings).Errors))
    | options -> options

let private find (name: string) = OptionCatalog.All |> Seq.find (fun option -> option.Name = name)
let private value (name: string) (options: NodeOptions) = (find name).Text options

let private set (option: OptionDefinition) (text: string) =
    match option.TrySet(NodeOptions(), text) with
    | true, Null, _
    | false, _, Null -> failtestf "%s: neither a value nor an error" option.Name
    | true, NonNull changed, _ -> Ok changed
    | false, _, NonNull problem -> Error problem

let private setOrFail (option: OptionDefinition) (text: string) =
    match set option text with
    | Ok changed -> changed
    | Error problem -> failtestf "%s" problem

let private anyText = Gen.listOf (Gen.choose (0, 0xffff)) |> Gen.map (fun codes -> String.Join("", codes |> List.map char))

/// Setting, and what it is written as afterwards.
let private accepted =
    [ "limits.max-value-bytes", "1MiB", "1048576"
      "limits.max-value-bytes", "64 kib", "65536"
      "limits.max-value-bytes", "0", "0"
      "api.default-deadline", "1m30s", "1m30s"
      "api.default-deadline", "90s", "1m30s"
      "api.default-deadline", "250ms", "250ms"
      "changelog.max-age", "0s", "0s"
      "changelog.max-age", "36h", "1d12h"
      "api.address", "http://localhost:9000", "http://127.0.0.1:9000"
      "api.address", "http://[::1]:9000", "http://[::1]:9000"
      "api.address", "http://0.0.0.0:9000", "http://0.0.0.0:9000"
      "tables.enabled", "False", "false"
      "log-level", "warn", "WARN"
      "tables.names", "b, a", "b,a"
      "raft.initial-members", "1=host-a:8445", "1=host-a:8445"
      "raft.initial-members", "3=c:1, 1=a:1 ,2=[::1]:1", "1=a:1,2=[::1]:1,3=c:1"
      "raft.address", "localhost:9001", "localhost:9001"
      "raft.address", "[::]:9001", "[::]:9001"
      "raft.rate-limit-bytes", "50MiB", "52428800"
      "raft.election-timeout", "3s", "3s"
      "raft.heartbeat-interval", "20ms", "20ms"
      "raft.node-id", "7", "7" ]

/// Setting, and the whole error.
let private refused =
    [ "raft.node-id", "0", "raft.node-id must be from 1 to 2147483647, not 0"
      "raft.node-id", "one", "raft.node-id must be a whole number, not \"one\""
      "limits.max-key-bytes", "1e3", "limits.max-key-bytes must be a size in bytes, such as 1048576, 64KiB, 4MiB or 1GiB, not \"1e3\""
      "limits.max-key-bytes",
      "9223372036854775807KiB",
      "limits.max-key-bytes must be a size in bytes, such as 1048576, 64KiB, 4MiB or 1GiB, not \"9223372036854775807KiB\""
      "limits.max-key-bytes", "1GiB", "limits.max-key-bytes must be from 1 to 65536, not 1073741824"
      "api.max-concurrent-streams", "0", "api.max-concurrent-streams must be from 1 to 1000000 calls, not 0"
      "api.default-deadline", "0s", "api.default-deadline must be from 1ms to 1h, not 0s"
      "api.default-deadline", "5", "api.default-deadline must be a duration, such as 100ms, 5s, 1m30s or 7d, not \"5\""
      "api.address",
      "https://127.0.0.1:8443",
      "api.address asks for TLS, which this version cannot do yet; use http:// on a loopback address or a private network, not \"https://127.0.0.1:8443\""
      "api.address",
      "127.0.0.1:8443",
      "api.address must be http://ADDRESS:PORT with a numeric address or localhost, such as http://127.0.0.1:8443, not \"127.0.0.1:8443\""
      "api.address",
      "http://example.org:1",
      "api.address must be http://ADDRESS:PORT with a numeric address or localhost, such as http://127.0.0.1:8443, not \"http://example.org:1\""
      "replication.leader-address",
      "https://a:1",
      "replication.leader-address asks for TLS with \"https://a:1\", which this version cannot do yet; use http://, not \"https://a:1\""
      "replication.leader-address",
      "http://a:1,b:2",
      "replication.leader-address must be a list of http://HOST:PORT separated by commas; \"b:2\" is none, not \"http://a:1,b:2\""
      "replication.leader-address",
      "http://a:1",
      "replication.leader-address is for the nodes of a follower site, and this is one of the leader site; start it with `regatta follower`, or leave the option out"
      "log-level", "loud", "log-level must be DEBUG, INFO, WARN or ERROR, not \"loud\""
      "tables.enabled", "yes", "tables.enabled must be true or false, not \"yes\""
      "raft.initial-members",
      "1:a",
      "raft.initial-members must be a list of ID=HOST:PORT separated by commas, with ids from 1 up, not \"1:a\""
      "raft.initial-members", "1=a:1,1=b:1", "raft.initial-members names the member 1 twice, not \"1=a:1,1=b:1\""
      "raft.initial-members", "2=a:1", "raft.initial-members must contain this node, whose raft.node-id is 1"
      "raft.initial-members",
      "1=a:1,2=::1:1,3=c:1",
      "raft.initial-members must be a list of ID=HOST:PORT separated by commas, with ids from 1 up, not \"1=a:1,2=::1:1,3=c:1\""
      "raft.initial-members",
      "1=a:1,2=b:1",
      "raft.initial-members names 2 nodes; a site has 1, 3 or 5: one more than an odd number adds a node that may fail, and none that may be missed"
      "raft.initial-members", "1=a:1,2=b:1,3=A:1", "raft.initial-members: nodes 1 and 3 have the same address a:1"
      "raft.initial-members",
      "1=a:1,2=b:0,3=c:1",
      "raft.initial-members: node 2 has the address b:0; it must have a port from 1 to 65535, or the others could not dial it"
      "raft.initial-members",
      "1=a:1,2=b:1,3=0.0.0.0:1",
      "raft.initial-members: node 3 has the address 0.0.0.0:1, which stands for all interfaces; name one that the others can dial"
      "raft.initial-members",
      "1=10.0.0.1:1,2=b:1,3=c:1",
      "raft.address 127.0.0.1:8445 is reached from this machine only, but the others will dial 10.0.0.1:1; set it to that, or to 0.0.0.0:8445"
      "raft.address", "nowhere", "raft.address must be ADDRESS:PORT with a numeric address or localhost, not \"nowhere\""
      "raft.address", "host-a:8445", "raft.address must be ADDRESS:PORT with a numeric address or localhost, not \"host-a:8445\""
      "raft.rate-limit-bytes", "-1", "raft.rate-limit-bytes must be a size in bytes, such as 1048576, 64KiB, 4MiB or 1GiB, not \"-1\""
      "raft.election-timeout", "99ms", "raft.election-timeout must be from 100ms to 1m, not 99ms"
      "raft.election-timeout",
      "400ms",
      "raft.heartbeat-interval must be less than half of raft.election-timeout, which is 400ms, or a leader that lives would be voted out"
      "raft.heartbeat-interval",
      "500ms",
      "raft.heartbeat-interval must be less than half of raft.election-timeout, which is 1s, or a leader that lives would be voted out"
      "data-dir", "", "data-dir must be set: the directory for everything that the node keeps"
      "tables.names",
      "a/b",
      "tables.names: table name must be 1 to 128 characters of A-Z, a-z, 0-9, '.', '_' and '-', the first one a letter or a digit; character 2 is '/'"
      "limits.max-request-bytes",
      "64KiB",
      "limits.max-request-bytes must be at least limits.max-key-bytes + limits.max-value-bytes + 1024, which is 2099200, or the largest pairs could not be written"
      "limits.page-bytes",
      "8KiB",
      "limits.page-bytes must be at least limits.max-key-bytes + limits.max-value-bytes + 256, which is 2098432, or the largest pairs could not be read"
      "api.adress", "x", "api.adress is not an option; did you mean api.address?"
      "nonsense", "x", "nonsense is not an option" ]

let tests =
    testList
        "options"
        [ for name, text, written in accepted do
              yield test $"{name} takes \"{text}\"" { Expect.equal (value name (applied [ name, text ])) written "what it is written as" }

          for name, text, message in refused do
              yield test $"{name} refuses \"{text}\"" { Expect.equal (error [ name, text ]) message "the error" }

          yield
              test "every default can be read back" {
                  for option in OptionCatalog.All do
                      Expect.equal (option.Text(setOrFail option option.Default)) option.Default option.Name
              }

          yield
              test "every option has a name of its own, a sentence, and an environment variable of its own" {
                  let distinct (values: string seq) = Seq.length (Seq.distinct values)
                  let count = OptionCatalog.All.Length
                  Expect.equal (distinct (OptionCatalog.All |> Seq.map _.Name)) count "names"
                  Expect.equal (distinct (OptionCatalog.All |> Seq.map _.EnvironmentNames[0])) count "environment"

                  for option in OptionCatalog.All do
                      Expect.isTrue (option.Sentence.EndsWith '.' && Char.IsUpper option.Sentence[0]) $"the sentence of {option.Name}"
              }

          yield
              test "setting one option changes that one only" {
                  let changes =
                      dict
                          [ "text", "other:1"
                            "flag", "false"
                            "number", "17"
                            "bytes", "5000000"
                            "duration", "11s"
                            "address", "http://127.0.0.1:1"
                            "level", "ERROR"
                            "list", "x,y"
                            "urls", "http://a:1,http://b:2"
                            "members", "1=h:1" ]

                  for option in OptionCatalog.All do
                      let text =
                          match option.Name with
                          | "raft.address" -> "localhost:1"
                          | "limits.max-key-bytes" -> "2048"
                          | _ when option.Range = "1024 to 1048576" -> "2048"
                          | _ -> changes[option.Type]

                      let changed = setOrFail option text

                      for other in OptionCatalog.All do
                          if other.Name <> option.Name then
                              Expect.equal (other.Text changed) other.Default $"{other.Name} after {option.Name} was set"
              }

          yield
              test "the nodes of a site are those that are given, by id, or this one alone" {
                  let members settings = [ for node in (applied settings).Members -> node.NodeId, node.Address ]
                  let three = "3=c:1,1=a:1,2=b:2"
                  Expect.equal (members [ "raft.initial-members", three ]) [ 1L, "a:1"; 2L, "b:2"; 3L, "c:1" ] "three"
                  Expect.equal (members [ "raft.node-id", "7"; "raft.address", "[::1]:9" ]) [ 7L, "[::1]:9" ] "alone"
              }

          yield
              test "in a site of several nodes a node listens where the others can know it, and anywhere if it is alone" {
                  let three = [ "raft.initial-members", "1=a:1,2=b:1,3=c:1"; "raft.address", "127.0.0.1:0" ]

                  Expect.equal
                      (error three)
                      "raft.address must have a port from 1 to 65535 in a site of several nodes: the others know it from raft.initial-members"
                      "port 0"

                  applied [ "raft.initial-members", "1=a:0"; "raft.address", "127.0.0.1:0" ] |> ignore
                  applied [ "raft.initial-members", "1=10.0.0.1:1,2=b:1,3=c:1"; "raft.address", "0.0.0.0:1" ] |> ignore
              }

          yield
              test "a node of a follower site must know the leader site, and gets its tables from there" {
                  let problems settings =
                      (Nodes.outcomeAs Regatta.Storage.NodeRole.Follower ([ "data-dir", "/data" ] @ settings)).Errors |> List.ofSeq

                  Expect.equal
                      (problems [])
                      [ "replication.leader-address must be set: the replication addresses of the leader site's nodes, such as http://10.0.0.1:8444" ]
                      "none given"

                  Expect.equal
                      (problems [ "replication.leader-address", "http://a:1"; "tables.names", "t" ])
                      [ "tables.names is for the leader site: a follower site has the tables that the leader site has" ]
                      "tables of its own"

                  Expect.isEmpty (problems [ "replication.leader-address", "http://a:1,http://[::1]:2" ]) "two nodes"
              }

          yield
              test "an election time-out brings the longest one with it" {
                  let groups = (applied [ "raft.election-timeout", "4s" ]).Groups

                  Expect.equal
                      (groups.ElectionTimeout, groups.MaxElectionTimeout)
                      (TimeSpan.FromSeconds 4.0, TimeSpan.FromSeconds 6.0)
                      "both"
              }

          yield
              test "secrets are masked wherever settings are shown, and in errors" {
                  let options = applied [ "tables.token", "very secret" ]
                  let shown = OptionCatalog.Effective options |> Seq.map (fun pair -> pair.Key, pair.Value) |> Map.ofSeq
                  Expect.equal shown["tables.token"] "**********" "the token"
                  Expect.isFalse (shown.Values |> Seq.exists (fun text -> text.Contains "secret")) "no other option shows it"
                  let empty = OptionCatalog.Effective(applied []) |> Seq.find (fun pair -> pair.Key = "tables.token")
                  Expect.equal empty.Value "" "no token is no secret"
              }

          yield
              test "the last setting of a name wins, and all errors are told at once" {
                  Expect.equal (value "raft.node-id" (applied [ "raft.node-id", "2"; "raft.node-id", "3" ])) "3" "the last"
                  Expect.equal ((apply [ "raft.node-id", "x"; "nonsense", "1" ]).Errors.Length) 2 "both errors"
              }

          yield
              Property.test
                  "durations are written so that they are read back"
                  1000
                  (Gen.choose (0, Int32.MaxValue))
                  (fun _ -> Seq.empty)
                  (fun milliseconds ->
                      let span = TimeSpan.FromMilliseconds(float milliseconds)
                      let read, back, _ = DurationText.TryParse(DurationText.Format span)
                      Expect.equal (read, back) (true, span) "read back")

          yield
              Property.test "no text makes an option throw" 1000 anyText (fun _ -> Seq.empty) (fun text ->
                  for option in OptionCatalog.All do
                      set option text |> ignore) ]

/// Every name, number and type on the wire, written down a second time. The left column is the number, then the name, then the type;
/// what is below 100 is the Go implementation's and may never change, what is from 100 up, or in regatta.v1ext, is ours and may not change
/// after a release.
module WireNumbers

open System
open Expecto
open Google.Protobuf
open Google.Protobuf.Reflection

let private messages =
    [ "mvcc.v1.KeyValue", [ "1 key bytes"; "2 create_revision int64"; "3 mod_revision int64"; "4 value bytes"; "100 version int64" ]
      "mvcc.v1.Compare",
      [ "1 result mvcc.v1.Compare.CompareResult"
        "2 target mvcc.v1.Compare.CompareTarget"
        "3 key bytes"
        "4 value oneof target_union bytes"
        "64 range_end bytes"
        "100 version oneof target_union int64"
        "101 create_revision oneof target_union int64"
        "102 mod_revision oneof target_union int64" ]
      "mvcc.v1.RequestOp",
      [ "1 request_range oneof request mvcc.v1.RequestOp.Range"
        "2 request_put oneof request mvcc.v1.RequestOp.Put"
        "3 request_delete_range oneof request mvcc.v1.RequestOp.DeleteRange" ]
      "mvcc.v1.RequestOp.Range", [ "1 key bytes"; "2 range_end bytes"; "3 limit int64"; "4 keys_only bool"; "5 count_only bool" ]
      "mvcc.v1.RequestOp.Put", [ "1 key bytes"; "2 value bytes"; "3 prev_kv bool" ]
      "mvcc.v1.RequestOp.DeleteRange", [ "1 key bytes"; "2 range_end bytes"; "4 prev_kv bool"; "5 count bool" ]
      "mvcc.v1.ResponseOp",
      [ "1 response_range oneof response mvcc.v1.ResponseOp.Range"
        "2 response_put oneof response mvcc.v1.ResponseOp.Put"
        "3 response_delete_range oneof response mvcc.v1.ResponseOp.DeleteRange" ]
      "mvcc.v1.ResponseOp.Range", [ "1 kvs repeated mvcc.v1.KeyValue"; "2 more bool"; "3 count int64" ]
      "mvcc.v1.ResponseOp.Put", [ "1 prev_kv mvcc.v1.KeyValue" ]
      "mvcc.v1.ResponseOp.DeleteRange", [ "1 deleted int64"; "2 prev_kvs repeated mvcc.v1.KeyValue" ]
      "mvcc.v1.Txn",
      [ "1 compare repeated mvcc.v1.Compare"; "2 success repeated mvcc.v1.RequestOp"; "3 failure repeated mvcc.v1.RequestOp" ]
      "mvcc.v1.Command",
      [ "1 table bytes"
        "2 type mvcc.v1.Command.CommandType"
        "3 kv mvcc.v1.KeyValue"
        "5 leader_index optional uint64"
        "6 batch repeated mvcc.v1.KeyValue"
        "7 txn optional mvcc.v1.Txn"
        "8 range_end optional bytes"
        "9 prev_kvs bool"
        "10 sequence repeated mvcc.v1.Command"
        "11 count bool" ]
      "mvcc.v1.CommandResult", [ "1 responses repeated mvcc.v1.ResponseOp"; "2 revision uint64" ]

      "regatta.v1.ResponseHeader",
      [ "1 shard_id uint64"; "2 replica_id uint64"; "3 revision uint64"; "4 raft_term uint64"; "5 raft_leader_id uint64" ]
      "regatta.v1.RangeRequest",
      [ "1 table bytes"
        "2 key bytes"
        "3 range_end bytes"
        "4 limit int64"
        "5 linearizable bool"
        "6 keys_only bool"
        "7 count_only bool"
        "8 min_mod_revision int64"
        "9 max_mod_revision int64"
        "10 min_create_revision int64"
        "11 max_create_revision int64"
        "100 min_revision uint64"
        "101 max_staleness_ms uint64"
        "102 consistency regatta.v1.Consistency" ]
      "regatta.v1.RangeResponse",
      [ "1 header regatta.v1.ResponseHeader"; "3 kvs repeated mvcc.v1.KeyValue"; "4 more bool"; "5 count int64" ]
      "regatta.v1.PutRequest", [ "1 table bytes"; "2 key bytes"; "3 value bytes"; "4 prev_kv bool" ]
      "regatta.v1.PutResponse", [ "1 header regatta.v1.ResponseHeader"; "2 prev_kv mvcc.v1.KeyValue" ]
      "regatta.v1.DeleteRangeRequest", [ "1 table bytes"; "2 key bytes"; "3 range_end bytes"; "4 prev_kv bool"; "5 count bool" ]
      "regatta.v1.DeleteRangeResponse", [ "1 header regatta.v1.ResponseHeader"; "2 deleted int64"; "3 prev_kvs repeated mvcc.v1.KeyValue" ]
      "regatta.v1.TxnRequest",
      [ "1 table bytes"
        "2 compare repeated mvcc.v1.Compare"
        "3 success repeated mvcc.v1.RequestOp"
        "4 failure repeated mvcc.v1.RequestOp"
        "100 consistency optional regatta.v1.Consistency"
        "101 min_revision uint64" ]
      "regatta.v1.TxnResponse", [ "1 header regatta.v1.ResponseHeader"; "2 succeeded bool"; "3 responses repeated mvcc.v1.ResponseOp" ]
      "regatta.v1.WatchRequest",
      [ "1 create oneof request regatta.v1.CreateWatch"; "2 cancel oneof request int64"; "3 progress oneof request int64" ]
      "regatta.v1.CreateWatch",
      [ "1 watch_id int64"
        "2 table bytes"
        "3 key bytes"
        "4 range_end bytes"
        "5 start_revision uint64"
        "6 skip_events uint64"
        "7 history_id bytes"
        "8 incarnation uint64"
        "9 progress bool"
        "10 prev_kv bool"
        "11 chain_hash bytes" ]
      "regatta.v1.WatchResponse",
      [ "1 header regatta.v1.ResponseHeader"
        "2 watch_id int64"
        "3 created bool"
        "4 events repeated regatta.v1.WatchEvent"
        "5 more bool"
        "6 end regatta.v1.WatchEnd"
        "7 history_id bytes"
        "8 incarnation uint64"
        "9 chain_hash bytes" ]
      "regatta.v1.WatchEvent", [ "1 type regatta.v1.WatchEvent.Type"; "2 kv mvcc.v1.KeyValue"; "3 prev_kv mvcc.v1.KeyValue" ]
      "regatta.v1.WatchEnd", [ "1 code int32"; "2 reason string"; "3 oldest_revision uint64" ]
      "regatta.v1.MemberListRequest", []
      "regatta.v1.MemberListResponse", [ "1 cluster string"; "2 members repeated regatta.v1.Member" ]
      "regatta.v1.Member", [ "1 id string"; "2 name string"; "3 peerURLs repeated string"; "4 clientURLs repeated string" ]
      "regatta.v1.StatusRequest", [ "4 config bool" ]
      "regatta.v1.StatusResponse",
      [ "1 id string"
        "2 version string"
        "3 info string"
        "4 tables map<string, regatta.v1.TableStatus>"
        "5 config google.protobuf.Struct"
        "8 errors repeated string" ]
      "regatta.v1.TableStatus",
      [ "2 logSize int64"
        "3 dbSize int64"
        "4 leader string"
        "5 raftIndex uint64"
        "6 raftTerm uint64"
        "7 raftAppliedIndex uint64"
        "100 revision uint64"
        "101 historyId bytes"
        "102 incarnation uint64"
        "103 oldestRevision uint64"
        "104 groupId uint64"
        "105 chainHash bytes"
        "106 lastLogIndex uint64"
        "107 firstLogIndex uint64"
        "108 durableIndex uint64"
        "109 following regatta.v1.Following" ]
      "regatta.v1.Following",
      [ "1 state regatta.v1.Following.State"
        "2 reason string"
        "3 leader_revision uint64"
        "4 behind_ms uint64"
        "5 node_id uint64"
        "6 behind_bytes uint64" ]
      "regatta.v1.CreateTableRequest", [ "1 name string"; "5 config google.protobuf.Struct" ]
      "regatta.v1.CreateTableResponse", [ "1 id string" ]
      "regatta.v1.DeleteTableRequest", [ "1 name string" ]
      "regatta.v1.DeleteTableResponse", []
      "regatta.v1.ListTablesRequest", []
      "regatta.v1.ListTablesResponse", [ "1 tables repeated regatta.v1.TableInfo" ]
      "regatta.v1.TableInfo", [ "1 name string"; "2 id string"; "5 config google.protobuf.Struct" ]

      "regatta.v1ext.MoveLeaderRequest", [ "1 table bytes"; "2 node_id uint64" ]
      "regatta.v1ext.MoveLeaderResponse", [ "1 header regatta.v1.ResponseHeader"; "2 leader uint64" ]
      "regatta.v1ext.TableHashRequest", [ "1 table bytes"; "2 revision uint64" ]
      "regatta.v1ext.TableHashResponse", [ "1 header regatta.v1.ResponseHeader"; "2 nodes repeated regatta.v1ext.NodeHash" ]
      "regatta.v1ext.NodeHash", [ "1 node_id uint64"; "2 revision uint64"; "3 hash bytes"; "4 chain_hash bytes"; "5 error string" ]
      "regatta.v1ext.AdoptRequest", [ "1 table bytes" ]
      "regatta.v1ext.AdoptResponse", [ "1 header regatta.v1.ResponseHeader" ]
      "regatta.v1ext.FollowingRequest", []
      "regatta.v1ext.FollowingResponse",
      [ "1 is_follower bool"; "2 leader_addresses repeated string"; "3 tables repeated regatta.v1ext.FollowedTable" ]
      "regatta.v1ext.FollowedTable", [ "1 name string"; "2 revision uint64"; "3 following regatta.v1.Following" ]

      "replication.v1.MetadataRequest", []
      "replication.v1.MetadataResponse", [ "1 tables repeated replication.v1.Table"; "100 history_id bytes" ]
      "replication.v1.ProbeRequest", [ "1 table bytes" ]
      "replication.v1.ProbeResponse", [ "1 history_id bytes"; "2 tables repeated replication.v1.ProbedTable" ]
      "replication.v1.ProbedTable", [ "1 incarnation uint64"; "2 revision uint64"; "3 chain_hash bytes"; "4 age_us uint64" ]
      "replication.v1.Table", [ "1 name string"; "2 type replication.v1.Table.Type" ]
      "replication.v1.SnapshotRequest", [ "1 table bytes" ]
      "replication.v1.SnapshotChunk", [ "1 data bytes"; "2 len uint64"; "3 index uint64" ]
      "replication.v1.FilesRequest",
      [ "1 table bytes"; "2 history_id bytes"; "3 incarnation uint64"; "4 fetch bytes"; "5 call uint32"; "6 request bytes" ]
      "replication.v1.FilesResponse", [ "1 reply bytes" ]
      "replication.v1.ReplicateRequest",
      [ "1 table bytes"
        "2 leader_index uint64"
        "100 follow bool"
        "101 history_id bytes"
        "102 incarnation uint64"
        "103 chain_hash bytes" ]
      "replication.v1.ReplicateResponse",
      [ "1 commands_response oneof response replication.v1.ReplicateCommandsResponse"
        "2 error_response oneof response replication.v1.ReplicateErrResponse"
        "8 leader_index uint64"
        "100 history_id bytes"
        "101 incarnation uint64"
        "102 behind_bytes uint64" ]
      "replication.v1.ReplicateCommandsResponse", [ "1 commands repeated replication.v1.ReplicateCommand" ]
      "replication.v1.ReplicateCommand", [ "1 leader_index uint64"; "2 command mvcc.v1.Command" ]
      "replication.v1.ReplicateErrResponse", [ "1 error replication.v1.ReplicateError" ]

      "maintenance.v1.BackupRequest", [ "1 table bytes" ]
      "maintenance.v1.RestoreMessage", [ "1 info oneof data maintenance.v1.RestoreInfo"; "2 chunk oneof data replication.v1.SnapshotChunk" ]
      "maintenance.v1.RestoreInfo", [ "1 table bytes" ]
      "maintenance.v1.RestoreResponse", []
      "maintenance.v1.ResetRequest", [ "1 table bytes"; "2 reset_all bool" ]
      "maintenance.v1.ResetResponse", [] ]

let private enums =
    [ "regatta.v1.WatchEvent.Type", [ "0 PUT"; "1 DELETE" ]
      "regatta.v1.Following.State",
      [ "0 ELSEWHERE"
        "1 FOLLOWING"
        "2 CATCHING_UP"
        "3 SNAPSHOT"
        "4 LEADER_BEHIND"
        "5 FENCED"
        "6 LEADER_UNREACHABLE"
        "7 REFUSED" ]
      "mvcc.v1.Compare.CompareResult", [ "0 EQUAL"; "1 GREATER"; "2 LESS"; "3 NOT_EQUAL" ]
      "mvcc.v1.Compare.CompareTarget", [ "0 VALUE"; "100 VERSION"; "101 CREATE"; "102 MOD" ]
      "mvcc.v1.Command.CommandType", [ "0 PUT"; "1 DELETE"; "2 DUMMY"; "3 PUT_BATCH"; "4 DELETE_BATCH"; "5 TXN"; "6 SEQUENCE" ]
      "regatta.v1.Consistency", [ "0 LOCAL"; "1 SITE"; "2 GLOBAL" ]
      "replication.v1.Table.Type", [ "0 REPLICATED"; "1 LOCAL" ]
      "replication.v1.ReplicateError", [ "0 USE_SNAPSHOT"; "1 LEADER_BEHIND"; "100 DIVERGED" ] ]

let private services =
    [ "regatta.v1.KV",
      [ "Range(regatta.v1.RangeRequest) -> regatta.v1.RangeResponse"
        "IterateRange(regatta.v1.RangeRequest) -> stream regatta.v1.RangeResponse"
        "Put(regatta.v1.PutRequest) -> regatta.v1.PutResponse"
        "DeleteRange(regatta.v1.DeleteRangeRequest) -> regatta.v1.DeleteRangeResponse"
        "Txn(regatta.v1.TxnRequest) -> regatta.v1.TxnResponse"
        "Watch(stream regatta.v1.WatchRequest) -> stream regatta.v1.WatchResponse" ]
      "regatta.v1.Cluster",
      [ "MemberList(regatta.v1.MemberListRequest) -> regatta.v1.MemberListResponse"
        "Status(regatta.v1.StatusRequest) -> regatta.v1.StatusResponse" ]
      "regatta.v1.Tables",
      [ "Create(regatta.v1.CreateTableRequest) -> regatta.v1.CreateTableResponse"
        "Delete(regatta.v1.DeleteTableRequest) -> regatta.v1.DeleteTableResponse"
        "List(regatta.v1.ListTablesRequest) -> regatta.v1.ListTablesResponse" ]
      "regatta.v1ext.Site",
      [ "MoveLeader(regatta.v1ext.MoveLeaderRequest) -> regatta.v1ext.MoveLeaderResponse"
        "TableHash(regatta.v1ext.TableHashRequest) -> regatta.v1ext.TableHashResponse"
        "Following(regatta.v1ext.FollowingRequest) -> regatta.v1ext.FollowingResponse"
        "Adopt(regatta.v1ext.AdoptRequest) -> regatta.v1ext.AdoptResponse" ]
      "replication.v1.Metadata",
      [ "Get(replication.v1.MetadataRequest) -> replication.v1.MetadataResponse"
        "Probe(replication.v1.ProbeRequest) -> replication.v1.ProbeResponse" ]
      "replication.v1.Snapshot",
      [ "Stream(replication.v1.SnapshotRequest) -> stream replication.v1.SnapshotChunk"
        "Files(replication.v1.FilesRequest) -> replication.v1.FilesResponse" ]
      "replication.v1.Log", [ "Replicate(replication.v1.ReplicateRequest) -> stream replication.v1.ReplicateResponse" ]
      "maintenance.v1.Maintenance",
      [ "Backup(maintenance.v1.BackupRequest) -> stream replication.v1.SnapshotChunk"
        "Restore(stream maintenance.v1.RestoreMessage) -> maintenance.v1.RestoreResponse"
        "Reset(maintenance.v1.ResetRequest) -> maintenance.v1.ResetResponse" ] ]

/// The compiled files, each after those that it imports.
let files =
    [ Regatta.Protocol.Mvcc.MvccReflection.Descriptor
      Regatta.Protocol.V1.RegattaReflection.Descriptor
      Regatta.Protocol.V1Ext.RegattaExtReflection.Descriptor
      Regatta.Protocol.Replication.ReplicationReflection.Descriptor
      Regatta.Protocol.Maintenance.MaintenanceReflection.Descriptor ]

let rec private withNested (message: MessageDescriptor) : MessageDescriptor list =
    [
      // A map's entry type is an artefact of the map field, which is checked itself.
      if not (message.GetOptions() <> null && message.GetOptions().MapEntry) then
          yield message

          for nested in message.NestedTypes do
              yield! withNested nested ]

/// Every message type of the files, nested ones too.
let messageTypes (files: FileDescriptor list) =
    [ for file in files do
          for message in file.MessageTypes do
              yield! withNested message ]

let private typeOf (field: FieldDescriptor) =
    match field.FieldType with
    | FieldType.Message -> field.MessageType.FullName
    | FieldType.Enum -> field.EnumType.FullName
    | simple -> (string simple).ToLowerInvariant()

let private describe (field: FieldDescriptor) =
    let kind =
        if field.IsMap then
            let entry = field.MessageType
            $"map<{typeOf (entry.FindFieldByNumber 1)}, {typeOf (entry.FindFieldByNumber 2)}>"
        elif field.IsRepeated then
            $"repeated {typeOf field}"
        elif not (isNull field.RealContainingOneof) then
            $"oneof {field.RealContainingOneof.Name} {typeOf field}"
        elif field.ToProto().Proto3Optional then
            $"optional {typeOf field}"
        else
            typeOf field

    $"{field.FieldNumber} {field.Name} {kind}"

let private compiledMessages files =
    [ for message in messageTypes files -> message.FullName, [ for field in message.Fields.InFieldNumberOrder() -> describe field ] ]

let private compiledEnums files =
    let all =
        [ for file: FileDescriptor in files do
              yield! file.EnumTypes

              for message in messageTypes [ file ] do
                  yield! message.EnumTypes ]

    [ for enum in all -> enum.FullName, [ for value in enum.Values -> $"{value.Number} {value.Name}" ] ]

let private compiledServices files =
    let stream isStream = if isStream then "stream " else ""

    [ for file: FileDescriptor in files do
          for service in file.Services do
              service.FullName,
              [ for m in service.Methods ->
                    $"{m.Name}({stream m.IsClientStreaming}{m.InputType.FullName}) -> {stream m.IsServerStreaming}{m.OutputType.FullName}" ] ]

/// What differs, one sentence each; nothing in either table may be missing from the other.
let private differences (expected: (string * string list) list) (compiled: (string * string list) list) =
    let expected, compiled = Map.ofList expected, Map.ofList compiled
    let names = Set.union (Set.ofSeq expected.Keys) (Set.ofSeq compiled.Keys)

    [ for name in names do
          match expected.TryFind name, compiled.TryFind name with
          | Some wanted, Some found ->
              for line in List.except found wanted do
                  $"{name} lacks: {line}"

              for line in List.except wanted found do
                  $"{name} must not have: {line}"
          | Some _, None -> $"{name} is missing"
          | None, Some _ -> $"{name} is not in the table of this test"
          | None, None -> () ]

let private rebuilt (changed: FileDescriptorProto) =
    let protos = [ for file in files -> if file.Name = changed.Name then changed else file.ToProto() ]
    let structProto = WellKnownTypes.StructReflection.Descriptor.ToProto()

    [ for file in FileDescriptor.BuildFromByteStrings(structProto :: protos |> List.map (fun p -> p.ToByteString())) -> file ]
    |> List.filter (fun file -> file.Name <> structProto.Name)

let private everyMessageProto (file: FileDescriptorProto) =
    let rec all (message: DescriptorProto) = message :: List.collect all (List.ofSeq message.NestedType)
    List.collect all (List.ofSeq file.MessageType)

let tests =
    testList
        "wire numbers"
        [ test "every message has exactly the fields, numbers and types of the table" {
              Expect.isEmpty (differences messages (compiledMessages files)) "fields"
          }

          test "every enum has exactly the values of the table" { Expect.isEmpty (differences enums (compiledEnums files)) "values" }

          test "every service has exactly the methods of the table" {
              Expect.isEmpty (differences services (compiledServices files)) "methods"
          }

          test "the files have the names by which reflection and Go clients know them" {
              let names = [ for file in files -> file.Name, file.Package ]

              Expect.equal
                  names
                  [ "mvcc.proto", "mvcc.v1"
                    "regatta.proto", "regatta.v1"
                    "regatta_ext.proto", "regatta.v1ext"
                    "replication.proto", "replication.v1"
                    "maintenance.proto", "maintenance.v1" ]
                  "names and packages"
          }

          test "changing any one field's number is noticed" {
              let mutable changes = 0

              for file in files do
                  let count = everyMessageProto (file.ToProto()) |> List.sumBy (fun message -> message.Field.Count)

                  for index in 0 .. count - 1 do
                      let proto = file.ToProto().Clone()
                      let fields = everyMessageProto proto |> List.collect (fun message -> List.ofSeq message.Field)
                      let field = fields[index]

                      // Map entries must keep their numbers to be map entries at all.
                      if field.Name <> "key" && field.Name <> "value" || field.Number > 2 then
                          field.Number <- field.Number + 1000
                          changes <- changes + 1
                          let found = differences messages (compiledMessages (rebuilt proto))
                          Expect.isNonEmpty found $"{file.Name}: number of {field.Name} changed"

              Expect.isGreaterThan changes 100 "fields tried"
          } ]

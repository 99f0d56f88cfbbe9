using Google.Protobuf.Reflection;
using Grpc.Reflection;
using Regatta.Protocol.V1;
using Reflection = Grpc.Reflection.V1;
using ReflectionAlpha = Grpc.Reflection.V1Alpha;

namespace Regatta.Node;

/// <summary>The services of a node.</summary>
/// <param name="Tables">Null: not served.</param>
internal sealed record GrpcServices(KV.KVBase Kv, ClusterService Cluster, SiteService Site, Tables.TablesBase? Tables, HealthService Health)
{

    /// <summary>What clients ask. Reflection tells of exactly the services that are there.</summary>
    public void AddApi(ApiServer.Endpoints endpoints)
    {
        List<ServiceDescriptor> descriptors =
        [
            KV.Descriptor, Regatta.Protocol.V1.Cluster.Descriptor, Regatta.Protocol.V1Ext.Site.Descriptor, Grpc.Health.V1.Health.Descriptor,
        ];
        endpoints.Add<KV.KVBase>(binder => KV.BindService(binder, Kv));
        endpoints.Add<ClusterService>(binder => Regatta.Protocol.V1.Cluster.BindService(binder, Cluster));
        endpoints.Add<SiteService>(binder => Regatta.Protocol.V1Ext.Site.BindService(binder, Site));
        endpoints.Add<HealthService>(binder => Grpc.Health.V1.Health.BindService(binder, Health));
        if (Tables is not null)
        {
            descriptors.Add(Regatta.Protocol.V1.Tables.Descriptor);
            endpoints.Add<Tables.TablesBase>(binder => Regatta.Protocol.V1.Tables.BindService(binder, Tables));
        }
        // Both versions that generic clients ask in.
        descriptors.Add(Reflection.ServerReflection.Descriptor);
        descriptors.Add(ReflectionAlpha.ServerReflection.Descriptor);
        ReflectionV1ServiceImpl reflection = new(descriptors);
        ReflectionServiceImpl reflectionAlpha = new(descriptors);
        endpoints.Add<ReflectionV1ServiceImpl>(binder => Reflection.ServerReflection.BindService(binder, reflection));
        endpoints.Add<ReflectionServiceImpl>(binder => ReflectionAlpha.ServerReflection.BindService(binder, reflectionAlpha));
    }
}

/// <summary>What a leader site serves to follower sites, and the writes that they pass on.</summary>
internal sealed record ReplicationServices(KV.KVBase Kv, LogService Log, SnapshotService Snapshot, MetadataService Metadata)
{
    public void Add(ApiServer.Endpoints endpoints)
    {
        endpoints.Add<LogService>(binder => Regatta.Protocol.Replication.Log.BindService(binder, Log));
        endpoints.Add<SnapshotService>(binder => Regatta.Protocol.Replication.Snapshot.BindService(binder, Snapshot));
        endpoints.Add<MetadataService>(binder => Regatta.Protocol.Replication.Metadata.BindService(binder, Metadata));
        endpoints.Add<KV.KVBase>(binder => KV.BindService(binder, Kv));
    }
}

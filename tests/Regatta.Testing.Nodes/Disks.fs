namespace Regatta.Testing.Nodes

open System
open System.ComponentModel
open System.IO
open System.Runtime.InteropServices
open Microsoft.Win32.SafeHandles
open Expecto

module private Ioctl =
    [<DllImport("libc", SetLastError = true)>]
    extern int ioctl(SafeFileHandle file, unativeint request, int& argument)

    [<DllImport("libc", SetLastError = true)>]
    extern nativeint ``open``(string path, int flags)

    /// The kernel's EXT4_IOC_SHUTDOWN / FS_IOC_SHUTDOWN.
    let shutdown = 0x8004587dun

    /// Stop at once: neither what is in memory nor the file system's own journal gets to the disk any more.
    let withoutFlush = 2

/// A file system in a file, which can lose its power. What was synced before is there after `Restore`, what was not is gone, as after a power loss
/// of the machine; kill -9 never shows that, because the kernel keeps what was written.
type Ext4Disk(megabytes: int) =
    let scratch = new Scratch()
    let image = scratch.Sub "disk.img"
    let mount = scratch.Sub "disk"
    let attach () = Machine.must "mount" [ "-o"; "loop"; image; mount ] |> ignore
    let detach () = Machine.must "umount" [ mount ] |> ignore

    do
        Directory.CreateDirectory mount |> ignore
        Machine.must "truncate" [ "-s"; $"{megabytes}M"; image ] |> ignore
        Machine.must "mkfs.ext4" [ "-q"; "-F"; image ] |> ignore
        attach ()

    /// Skips the test with a sentence where the machine does not let us do this.
    static member Needs what =
        Machine.needsRoot what
        Machine.needsCommand what "mkfs.ext4"
        Machine.needsCommand what "losetup"

        if not (File.Exists "/dev/loop-control") then skiptest $"left out: {what} needs loop devices"

    member _.Path = mount

    /// From here on nothing reaches the disk, and every write and sync of it fails.
    member _.CutPower() =
        use directory = new SafeFileHandle(Ioctl.``open`` (mount, 0), true)

        if directory.IsInvalid then raise (Win32Exception(Marshal.GetLastPInvokeError()))

        let mutable argument = Ioctl.withoutFlush

        if Ioctl.ioctl (directory, Ioctl.shutdown, &argument) <> 0 then raise (Win32Exception(Marshal.GetLastPInvokeError()))

    /// Power is back: the file system replays its journal. Nothing may have files open in it.
    member _.Restore() =
        detach ()
        attach ()

    interface IDisposable with
        member _.Dispose() =
            detach ()
            (scratch :> IDisposable).Dispose()

/// A small file system in memory, to be filled up.
type SmallDisk(megabytes: int) =
    let scratch = new Scratch()
    let mount = scratch.Sub "disk"
    let ballast = Path.Combine(mount, "ballast")

    do
        Directory.CreateDirectory mount |> ignore
        Machine.must "mount" [ "-t"; "tmpfs"; "-o"; $"size={megabytes}m"; "tmpfs"; mount ] |> ignore

    member _.Path = mount
    member _.FreeBytes = DriveInfo(mount).AvailableFreeSpace

    /// Takes space until no more than so many bytes are left.
    member disk.FillUpTo(left: int64) =
        use file = new FileStream(ballast, FileMode.Append, FileAccess.Write, FileShare.None, 1)
        let block = Array.zeroCreate<byte> 65536
        let mutable full = false

        while not full && disk.FreeBytes > left do
            try
                file.Write(block, 0, int (min (int64 block.Length) (disk.FreeBytes - left)))
            with :? IOException ->
                full <- true

    /// Gives the space back.
    member _.MakeRoom() = File.Delete ballast

    interface IDisposable with
        member _.Dispose() =
            Machine.must "umount" [ mount ] |> ignore
            (scratch :> IDisposable).Dispose()

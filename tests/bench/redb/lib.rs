//! redb behind a C interface, for tests/bench/kernel_peers.c: one table of byte strings. Whatever fails ends the program, as
//! the other peers do there.

use redb::{Builder, Database, Durability, ReadableDatabase, ReadOnlyTable, TableDefinition};
use std::ffi::{c_char, CStr};
use std::slice::from_raw_parts;

const PAIRS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pairs");

pub struct Reader {
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

/// # Safety
/// `path` is a string of C.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_open(path: *const c_char, cache_bytes: u64) -> *mut Database {
    let path = CStr::from_ptr(path).to_str().expect("a path in UTF-8");
    let database = Builder::new().set_cache_size(cache_bytes as usize).create(path).expect("open");
    let txn = database.begin_write().expect("begin");
    txn.open_table(PAIRS).expect("table");
    txn.commit().expect("commit");
    Box::into_raw(Box::new(database))
}

/// # Safety
/// `database` is of `redb_peer_open` and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_close(database: *mut Database) {
    drop(Box::from_raw(database));
}

/// One transaction of `count` pairs; keys and values lie one behind the other.
///
/// # Safety
/// `keys` and `values` hold `count` times their lengths.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_write(
    database: *const Database,
    keys: *const u8,
    key_bytes: usize,
    values: *const u8,
    value_bytes: usize,
    count: usize,
    is_durable: bool,
) {
    let mut txn = (*database).begin_write().expect("begin");
    txn.set_durability(if is_durable { Durability::Immediate } else { Durability::None }).expect("durability");
    {
        let mut table = txn.open_table(PAIRS).expect("table");
        for i in 0..count {
            let key = from_raw_parts(keys.add(i * key_bytes), key_bytes);
            let value = from_raw_parts(values.add(i * value_bytes), value_bytes);
            table.insert(key, value).expect("insert");
        }
    }
    txn.commit().expect("commit");
}

/// # Safety
/// `database` lives longer than the reader.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_reader(database: *const Database) -> *mut Reader {
    let txn = (*database).begin_read().expect("begin");
    Box::into_raw(Box::new(Reader { table: txn.open_table(PAIRS).expect("table") }))
}

/// # Safety
/// `reader` is of `redb_peer_reader` and is not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_reader_done(reader: *mut Reader) {
    drop(Box::from_raw(reader));
}

/// # Safety
/// `ret_value` has room for the value.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_get(reader: *const Reader, key: *const u8, key_bytes: usize, ret_value: *mut u8) -> bool {
    match (*reader).table.get(from_raw_parts(key, key_bytes)).expect("get") {
        Some(value) => {
            let bytes = value.value();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), ret_value, bytes.len());
            true
        }
        None => false,
    }
}

/// The bytes of at most `limit` values from `key` on.
///
/// # Safety
/// `key` holds `key_bytes`.
#[no_mangle]
pub unsafe extern "C" fn redb_peer_scan(reader: *const Reader, key: *const u8, key_bytes: usize, limit: u64) -> u64 {
    let from = from_raw_parts(key, key_bytes);
    let rows = (*reader).table.range(from..).expect("range");
    let mut sum = 0;
    for row in rows.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        sum += row.expect("row").1.value().len() as u64;
    }
    sum
}

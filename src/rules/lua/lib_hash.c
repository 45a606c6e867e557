/* lib_hash: `hash` (digests by libcrypto, checksums of field buses) and `uuid`. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "rules/lua/state.h"

static int push_hex(lua_State *L, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * EVP_MAX_MD_SIZE];
    for (size_t i = 0; i < count; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, text, 2 * count);
    return 1;
}

static int digest(lua_State *L, const EVP_MD *algorithm)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    ps_lua_charge(L, 50 + len / 4);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_len;
    if (!EVP_Digest(bytes, len, hash, &hash_len, algorithm, NULL))
        return luaL_error(L, "hash: not available");
    return push_hex(L, hash, hash_len);
}

static int hash_md5(lua_State *L)
{
    return digest(L, EVP_md5());
}

static int hash_sha1(lua_State *L)
{
    return digest(L, EVP_sha1());
}

static int hash_sha256(lua_State *L)
{
    return digest(L, EVP_sha256());
}

static int hash_sha512(lua_State *L)
{
    return digest(L, EVP_sha512());
}

static int hash_hmac_sha256(lua_State *L)
{
    size_t key_len, len;
    const char *key = luaL_checklstring(L, 1, &key_len);
    const char *bytes = luaL_checklstring(L, 2, &len);
    ps_lua_charge(L, 100 + key_len / 4 + len / 4);
    luaL_argcheck(L, key_len <= INT32_MAX, 1, "key too long");
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned hash_len;
    if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)bytes, len, hash, &hash_len))
        return luaL_error(L, "hash: not available");
    return push_hex(L, hash, hash_len);
}

/* --- checksums, bit by bit: frames are short --- */

static const unsigned char *checksum_input(lua_State *L, size_t *len)
{
    const char *bytes = luaL_checklstring(L, 1, len);
    ps_lua_charge(L, 1 + *len);
    return (const unsigned char *)bytes;
}

/* Modbus: polynomial 0x8005 reflected, start 0xFFFF */
static int hash_crc16_modbus(lua_State *L)
{
    size_t len;
    const unsigned char *bytes = checksum_input(L, &len);
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
    }
    lua_pushinteger(L, crc);
    return 1;
}

/* CCITT-FALSE: polynomial 0x1021, start 0xFFFF */
static int hash_crc16_ccitt(lua_State *L)
{
    size_t len;
    const unsigned char *bytes = checksum_input(L, &len);
    uint16_t crc = 0xFFFF;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc ^ bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    lua_pushinteger(L, crc);
    return 1;
}

/* IEEE 802.3: polynomial 0x04C11DB7 reflected, start and end inverted */
static int hash_crc32(lua_State *L)
{
    size_t len;
    const unsigned char *bytes = checksum_input(L, &len);
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    lua_pushinteger(L, crc ^ 0xFFFFFFFF);
    return 1;
}

static int uuid_v4(lua_State *L)
{
    ps_lua_charge(L, 50);
    struct ps_uuid uuid = ps_uuid_random();
    char text[PS_UUID_TEXT_SIZE];
    ps_uuid_format(&uuid, text);
    lua_pushstring(L, text);
    return 1;
}

const luaL_Reg ps_lua_lib_hash[] = {
    { "md5", hash_md5 },
    { "sha1", hash_sha1 },
    { "sha256", hash_sha256 },
    { "sha512", hash_sha512 },
    { "hmac_sha256", hash_hmac_sha256 },
    { "crc16_modbus", hash_crc16_modbus },
    { "crc16_ccitt", hash_crc16_ccitt },
    { "crc32", hash_crc32 },
    { NULL, NULL },
};

const luaL_Reg ps_lua_lib_uuid[] = {
    { "v4", uuid_v4 },
    { NULL, NULL },
};

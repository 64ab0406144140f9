// A security key in software, for tests: a provider of OpenSSH's sk-api (PROTOCOL.u2f and sk-api.h of OpenSSH, versions
// 7 to 10) with Ed25519 keys. The key handle is the private key. User presence is always reported.
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef SK_VERSION
#define SK_VERSION 0x000a0000
#endif
#define SK_ED25519 1
#define SK_USER_PRESENCE 1
#define ERR_GENERAL -1
#define ERR_UNSUPPORTED -2
#define KEY_SIZE 32
#define SIGNATURE_SIZE 64

struct sk_enroll_response {
  uint8_t flags;
  uint8_t *public_key;
  size_t public_key_len;
  uint8_t *key_handle;
  size_t key_handle_len;
  uint8_t *signature;
  size_t signature_len;
  uint8_t *attestation_cert;
  size_t attestation_cert_len;
  uint8_t *authdata;
  size_t authdata_len;
};

struct sk_sign_response {
  uint8_t flags;
  uint32_t counter;
  uint8_t *sig_r;
  size_t sig_r_len;
  uint8_t *sig_s;
  size_t sig_s_len;
};

struct sk_option;
struct sk_resident_key;

uint32_t sk_api_version(void) { return SK_VERSION; }

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
              const char *pin, struct sk_option **options, struct sk_enroll_response **response) {
  (void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
  if (alg != SK_ED25519) return ERR_UNSUPPORTED;
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  struct sk_enroll_response *made = calloc(1, sizeof *made);
  if (!key || !made) return ERR_GENERAL;
  made->flags = flags;
  made->public_key_len = made->key_handle_len = KEY_SIZE;
  made->public_key = malloc(KEY_SIZE);
  made->key_handle = malloc(KEY_SIZE);
  made->signature = calloc(1, SIGNATURE_SIZE); // attestation signature, which is never verified
  made->signature_len = SIGNATURE_SIZE;
  if (!EVP_PKEY_get_raw_public_key(key, made->public_key, &made->public_key_len) ||
      !EVP_PKEY_get_raw_private_key(key, made->key_handle, &made->key_handle_len))
    return ERR_GENERAL;
  EVP_PKEY_free(key);
  *response = made;
  return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
            size_t key_handle_len, uint8_t flags, const char *pin, struct sk_option **options,
            struct sk_sign_response **response) {
  (void)flags, (void)pin, (void)options;
  if (alg != SK_ED25519 || key_handle_len != KEY_SIZE) return ERR_UNSUPPORTED;
  // Signed data (PROTOCOL.u2f): SHA256(application), flags, counter, SHA256(data).
  uint8_t message[32 + 1 + 4 + 32] = {0};
  SHA256((const uint8_t *)application, strlen(application), message);
  message[32] = SK_USER_PRESENCE;
  message[36] = 1;
  SHA256(data, data_len, message + 37);
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key_handle, key_handle_len);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  struct sk_sign_response *made = calloc(1, sizeof *made);
  if (!key || !context || !made) return ERR_GENERAL;
  made->flags = SK_USER_PRESENCE;
  made->counter = 1;
  made->sig_r_len = SIGNATURE_SIZE;
  made->sig_r = malloc(SIGNATURE_SIZE);
  if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign(context, made->sig_r, &made->sig_r_len, message, sizeof message) != 1)
    return ERR_GENERAL;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  *response = made;
  return 0;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options, struct sk_resident_key ***keys, size_t *count) {
  (void)pin, (void)options, (void)keys, (void)count;
  return ERR_UNSUPPORTED;
}
